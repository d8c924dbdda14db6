package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
	"github.com/wallaby-ao/wallaby/proof"
)

// aosHistory is the history file of an aos process that counts, with its module and,
// at nonce 3, a bare assignment.
func aosHistory(t *testing.T, extra ...dataitem.Tag) []byte {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("..", "testdata", "modules", "aos2_0_6.wasm"))
	if err != nil {
		t.Skipf("SKIPPED: a real aos module is not here (%v): run make modules, which needs npm", err)
	}
	scheduler, owner := logtest.Signer(t, 1), logtest.Signer(t, 2)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	module, err := ModuleItem(code, nil, owner)
	must(err)
	tags := dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagVariant, Value: ao.Variant},
		{Name: ao.TagType, Value: ao.TypeProcess}, {Name: ao.TagModule, Value: module.ID().String()},
		{Name: ao.TagScheduler, Value: dataitem.AddressOf(scheduler.Owner()).String()}, {Name: ao.TagAuthority, Value: ao.ID{5}.String()},
	}
	process, err := dataitem.Create(dataitem.Draft{Data: []byte(" "), Tags: append(tags, extra...)}, owner)
	must(err)
	eval := dataitem.Tag{Name: "Action", Value: "Eval"}
	elsewhere := logtest.MessageItem(t, owner, ao.ID{7}, "not mine")
	clock := int64(1_700_000_000_000)
	log := memory.New(scheduler, func() time.Time { clock += 1000; return time.UnixMilli(clock) })
	var b bytes.Buffer
	w, err := history.NewWriter(&b, history.Header{Process: process.ID()})
	must(err)
	for i, proposal := range []aolog.Proposal{
		{Item: process},
		{Item: logtest.MessageItem(t, owner, process.ID(), "Count = 1; Secret = 'none'; return Count", eval)},
		{Item: logtest.MessageItem(t, owner, process.ID(), "Count = Count + 1; return Count", eval)},
		{Process: process.ID(), Message: elsewhere.ID()},
		{Item: logtest.MessageItem(t, owner, process.ID(), "Count = Count + 10; return Count", eval)},
		{Item: logtest.MessageItem(t, owner, process.ID(), "error('no more')", eval)},
	} {
		entry, _, err := log.Append(t.Context(), proposal)
		must(err)
		must(w.Write(history.EntryRecord(entry)))
		if i == 3 {
			must(w.Write(history.ItemRecord(entry.Nonce, elsewhere)))
		}
	}
	must(w.Write(history.ModuleRecord(history.Module{ID: module.ID(), Item: module.Bytes()})))
	must(w.Close())
	return b.Bytes()
}

// testCacheDir keeps compiled modules between tests.
var testCacheDir = filepath.Join(os.TempDir(), "wallaby-test-cache")

var proofOptions = ProofOptions{CacheDir: testCacheDir}

// makeProof gives a proof's bytes.
func makeProof(t *testing.T, from []byte, part proof.Part) ([]byte, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.aoproof")
	to, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := MakeProof(t.Context(), to, bytes.NewReader(from), int64(len(from)), part, proofOptions); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, nil
}

func verifyProof(t *testing.T, b []byte) (Verdict, error) {
	t.Helper()
	return VerifyProof(t.Context(), bytes.NewReader(b), int64(len(b)), proofOptions)
}

// alterStatement makes a proof say something else, with checksums that fit.
func alterStatement(t *testing.T, b []byte, old, with string) []byte {
	t.Helper()
	reader, err := history.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := history.NewWriter(&out, reader.Header())
	for err == nil {
		var r history.Record
		if r, err = reader.Next(); err != nil || r.Kind == history.KindIndex {
			break
		}
		if r.Kind == history.KindStatement {
			head, result, partErr := history.Parted(r.Payload)
			if partErr != nil {
				t.Fatal(partErr)
			}
			changed := strings.Replace(string(head), old, with, 1)
			changedResult := strings.Replace(string(result), old, with, 1)
			if changed == string(head) && changedResult == string(result) {
				t.Fatalf("the statement does not have %q: %s, %s", old, head, result)
			}
			r.Payload = history.Joined([]byte(changed), []byte(changedResult))
		}
		err = w.Write(r)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAProofIsTrueFalseOrCannotBeKnown(t *testing.T) {
	log := aosHistory(t)
	for _, part := range []proof.Part{{Nonce: 0}, {Nonce: 4}, {Nonce: 5}, {Nonce: 4, Given: 2}, {Nonce: 5, Given: 3}} {
		t.Run(fmt.Sprintf("nonce %d from %d", part.Nonce, part.Given), func(t *testing.T) {
			b, err := makeProof(t, log, part)
			if err != nil {
				t.Fatal(err)
			}
			v, err := verifyProof(t, b)
			if err != nil || !v.Holds || v.Nonce != part.Nonce || (v.Given != nil) != (part.Given > 0) || v.Messages == 0 {
				t.Fatalf("%+v, %v", v, err)
			}
			if part.Nonce == 4 && !strings.Contains(string(v.Got), `"data":"12"`) {
				t.Errorf("the result is %s", v.Got)
			}
			gas := fmt.Sprintf(`"GasUsed":%s`, between(string(v.Got), `"GasUsed":`, ",}"))
			for what, change := range map[string][2]string{
				"the result": {`"Output":`, `"Outputs":`},
				"the gas":    {gas, `"GasUsed":1`},
				"the root":   {v.Root.String(), ao.ID{1}.String()},
			} {
				if v, err := verifyProof(t, alterStatement(t, b, change[0], change[1])); err != nil || v.Holds {
					t.Errorf("with %s altered: holds is %t, %v", what, v.Holds, err)
				}
			}
			cannot := map[string][2]string{"fingerprint": {v.Fingerprint.String(), ao.ID{1}.String()}}
			if part.Given > 0 {
				cannot["given root"] = [2]string{v.Given.Root.String(), ao.ID{1}.String()}
			}
			for what, change := range cannot {
				if v, err := verifyProof(t, alterStatement(t, b, change[0], change[1])); err == nil {
					t.Errorf("with the %s altered: holds is %t", what, v.Holds)
				}
			}
			// The module and the state are large: not every byte of them.
			for i := 1; i < len(b); i += len(b)/200 + 1 {
				altered := bytes.Clone(b)
				altered[i] ^= 4
				if v, err := verifyProof(t, altered); err == nil {
					t.Errorf("with byte %d altered: holds is %t", i, v.Holds)
				}
			}
		})
	}
}

// between gives what stands after a text, up to one of some letters.
func between(text, after, until string) string {
	_, rest, _ := strings.Cut(text, after)
	return rest[:strings.IndexAny(rest, until)]
}

// TestAStateIsNotEnoughWhereTheWholeHistoryCounts: which pushes a process gets may
// depend on those before the state.
func TestAStateIsNotEnoughWhereTheWholeHistoryCounts(t *testing.T) {
	log := aosHistory(t, dataitem.Tag{Name: ao.TagAuthorityQuorum, Value: "1/1"})
	_, err := makeProof(t, log, proof.Part{Nonce: 4, Given: 2})
	if err == nil || !strings.Contains(err.Error(), "Authority-Quorum") {
		t.Errorf("from a state: %v", err)
	}
	b, err := makeProof(t, log, proof.Part{Nonce: 4})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := verifyProof(t, b); err != nil || !v.Holds {
		t.Errorf("from the beginning: %+v, %v", v, err)
	}
}
