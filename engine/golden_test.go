package engine

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// The golden file holds what a reference scheduler served and what a reference
// compute unit made of it.
type goldenFile struct {
	Module struct {
		ID    ao.ID
		Owner struct{ Address string }
		Tags  dataitem.Tags
		Wasm  string
	}
	Processes []goldenProcess
}

type goldenProcess struct {
	PID   ao.ID
	Cron  json.RawMessage // set: the results of its crons
	Edges []struct {
		Node struct {
			Message    *goldenItem
			Assignment goldenItem
		}
	}
	Results []struct {
		ID       string
		Nonce    uint64
		Assigned bool
		Body     json.RawMessage
	}
	ResultsPage *struct {
		Edges []struct {
			Cursor string
			Node   json.RawMessage
		}
	}
}

type goldenItem struct {
	ID    ao.ID
	Owner struct {
		Address string
		Key     string
	}
	Data      *string
	Tags      dataitem.Tags
	Signature string
	Anchor    *string
	Target    *string
}

// bytes builds the item that the scheduler was given.
func (g goldenItem) bytes(t *testing.T) []byte {
	t.Helper()
	raw := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var kind dataitem.SignatureType
	for _, kind = range []dataitem.SignatureType{dataitem.Arweave, dataitem.Ethereum, dataitem.Ed25519} {
		if len(raw(g.Owner.Key)) == kind.OwnerBytes() {
			break
		}
	}
	b := binary.LittleEndian.AppendUint16(nil, uint16(kind))
	b = append(b, raw(g.Signature)...)
	b = append(b, raw(g.Owner.Key)...)
	optional := func(value []byte) {
		if value == nil {
			b = append(b, 0)
			return
		}
		b = append(append(b, 1), value...)
	}
	if g.Target == nil || *g.Target == "" {
		optional(nil)
	} else {
		optional(raw(*g.Target))
	}
	if g.Anchor == nil {
		optional(nil)
	} else {
		optional([]byte(*g.Anchor))
	}
	var tags []byte
	if len(g.Tags) > 0 {
		tags = binary.AppendVarint(tags, int64(len(g.Tags)))
		for _, tag := range g.Tags {
			tags = append(binary.AppendVarint(tags, int64(len(tag.Name))), tag.Name...)
			tags = append(binary.AppendVarint(tags, int64(len(tag.Value))), tag.Value...)
		}
		tags = append(tags, 0)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(g.Tags)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tags)))
	b = append(b, tags...)
	if g.Data != nil {
		b = append(b, *g.Data...)
	}
	return b
}

// entries turns what the scheduler served back into its log.
func (g goldenProcess) entries(t *testing.T) (entries []aolog.Entry) {
	t.Helper()
	for _, edge := range g.Edges {
		assignment, err := dataitem.Parse(edge.Node.Assignment.bytes(t))
		if err != nil {
			t.Fatal(err)
		}
		entry := aolog.Entry{AssignmentBytes: assignment.Bytes()}
		if entry.Assignment, err = ao.ParseAssignment(assignment); err != nil {
			t.Fatal(err)
		}
		if edge.Node.Message != nil {
			entry.ItemBytes = edge.Node.Message.bytes(t)
			item, err := entry.Item()
			if err != nil || item.ID() != edge.Node.Message.ID {
				t.Fatalf("item %s was not put together well: %v", edge.Node.Message.ID, err)
			}
		}
		if entry.Nonce == 0 {
			entry.Message = ao.ID{}
		}
		entries = append(entries, entry)
	}
	return entries
}

// ticks gives the places of what a process's crons gave.
func (g goldenProcess) ticks(t *testing.T) (cursors []Cursor) {
	t.Helper()
	var page struct{ Edges []struct{ Cursor string } }
	decode(t, g.Cron, &page)
	for _, edge := range page.Edges {
		cursor, err := ParseCursor(edge.Cursor)
		if err != nil {
			t.Fatal(err)
		}
		cursors = append(cursors, cursor)
	}
	return cursors
}

func readGolden(t *testing.T) (golden goldenFile) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "golden-wasm32.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	return golden
}

// logItems finds items in a log, as a node does for bare assignments.
type logItems struct{ log *staticLog }

func (l logItems) Item(_ context.Context, id ao.ID, _ bool) (TxMeta, error) {
	for _, entries := range l.log.processes {
		for _, entry := range entries {
			if entry.Message != id || entry.IsBare() {
				continue
			}
			item, err := entry.Item()
			if err != nil {
				return TxMeta{}, err
			}
			anchor, ok := item.AnchorText()
			return TxMeta{ID: id, Signature: item.Signature, Owner: item.Address(), OwnerKey: item.Owner,
				Target: item.TargetID().String(), Anchor: anchor, HasAnchor: ok, Tags: item.Tags, Data: item.Data}, nil
		}
	}
	return TxMeta{}, ao.Errorf(ao.CodeNotFound, "item %s is not known", id)
}

func TestResultsAreTheReferencesOwn(t *testing.T) {
	golden := readGolden(t)
	code, err := os.ReadFile(filepath.Join("..", "testdata", "modules", golden.Module.Wasm))
	if err != nil {
		t.Skipf("SKIPPED: the golden results of the reference need a module that is not here (%v): run make modules, which needs npm", err)
	}
	driver, err := wazero.NewDriver(wazero.Options{CacheDir: filepath.Join(os.TempDir(), "wallaby-test-cache")})
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	log := newStaticLog()
	for _, process := range golden.Processes {
		log.add(process.entries(t)...)
		if process.Cron != nil {
			log.promised = process.ticks(t)[len(process.ticks(t))-1].TimestampMS + 1
		}
	}
	db := openDB(t, t.TempDir())
	defer db.Close()
	options := Options{
		Log: log, DB: db, Drivers: []vm.Driver{driver}, Items: logItems{log},
		Modules: moduleMap{golden.Module.ID: {
			ID: golden.Module.ID, Owner: golden.Module.Owner.Address, Tags: golden.Module.Tags, Bytes: code,
		}},
	}
	e, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	checked, exact := 0, 0
	for _, process := range golden.Processes {
		for _, want := range process.Results {
			got, err := e.ResultAt(t.Context(), process.PID, want.Nonce)
			if err != nil {
				t.Fatalf("process %s nonce %d: %v", process.PID, want.Nonce, err)
			}
			if want.Assigned {
				continue
			}
			checked++
			ours, reference := parsed(t, got.Result.JSON()), parsed(t, want.Body)
			if cmp.Equal(reference, ours) {
				exact++
			}
			if diff := cmp.Diff(unordered(reference), unordered(ours)); diff != "" {
				t.Errorf("process %s nonce %d (-reference +ours):\n%s", process.PID, want.Nonce, diff)
			}
		}
		if process.Cron != nil {
			if err := e.PassTime(t.Context(), process.PID, log.promised); err != nil {
				t.Fatal(err)
			}
			checkGoldenTicks(t, e, process)
		}
		if process.ResultsPage != nil {
			checkGoldenPage(t, e, process)
		}
	}
	if checked != 94 {
		t.Errorf("checked %d results, the reference gave 94", checked)
	}
	t.Logf("%d of %d results are equal to the last character, the others but for table order and addresses", exact, checked)
}

var address = regexp.MustCompile(`0x[0-9a-f]+`)

// unordered takes out of a result what Lua leaves open: the order in which a
// table is walked, which its hash seed decides and which shows in generated
// tags, in JSON that a guest encoded and in tables that it printed; and the
// addresses of functions. The reference itself differs in these from one node
// to the next.
func unordered(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			value[key] = unordered(member)
			if tags, ok := member.([]any); ok && key == "Tags" {
				slices.SortFunc(tags, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
	case []any:
		for i := range value {
			value[i] = unordered(value[i])
		}
	case string:
		var object map[string]any
		if json.Unmarshal([]byte(value), &object) == nil {
			return unordered(object)
		}
		lines := strings.Split(address.ReplaceAllString(value, "0x"), "\n")
		for i, line := range lines {
			lines[i] = strings.TrimRight(line, "\\,")
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	return value
}

// checkGoldenTicks compares what a process's crons gave.
func checkGoldenTicks(t *testing.T, e *Engine, process goldenProcess) {
	t.Helper()
	page, err := e.Results(t.Context(), process.PID, ResultsQuery{Limit: 1000, Crons: true})
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Edges []struct {
			Cursor string
			Node   json.RawMessage
		}
	}
	decode(t, process.Cron, &want)
	if len(want.Edges) < 20 || len(page.Evaluations) != len(want.Edges) {
		t.Fatalf("%d ticks, the reference has %d", len(page.Evaluations), len(want.Edges))
	}
	for i, edge := range want.Edges {
		evaluation := page.Evaluations[i]
		if cursor := EncodeCursor(CursorOf(evaluation, false)); cursor != edge.Cursor {
			t.Errorf("tick %d has cursor %s, the reference's has %s", i, cursor, edge.Cursor)
		}
		evaluation.Result.GasUsed = nil
		reference, ours := parsed(t, edge.Node), parsed(t, evaluation.Result.JSON())
		if diff := cmp.Diff(unordered(reference), unordered(ours)); diff != "" {
			t.Errorf("tick %d (-reference +ours):\n%s", i, diff)
		}
		from, err := ParseCursor(edge.Cursor)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := e.Results(t.Context(), process.PID, ResultsQuery{From: &from, Limit: 1000, Crons: true})
		if err != nil || len(rest.Evaluations) != len(want.Edges)-i-1 {
			t.Errorf("%d ticks behind tick %d, %v", len(rest.Evaluations), i, err)
		}
	}
}

func checkGoldenPage(t *testing.T, e *Engine, process goldenProcess) {
	t.Helper()
	query := ResultsQuery{Limit: 1000}
	if process.Cron != nil {
		// The page was taken before all ticks had come.
		query.Limit = len(process.ResultsPage.Edges)
	}
	page, err := e.Results(t.Context(), process.PID, query)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []any
	for _, evaluation := range page.Evaluations {
		got = append(got, EncodeCursor(CursorOf(evaluation, false)))
	}
	for _, edge := range process.ResultsPage.Edges {
		want = append(want, edge.Cursor)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cursors of process %s (-reference +ours):\n%s", process.PID, diff)
	}
}

func parsed(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
