package node

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// openAos opens a node that runs aos; spawn starts a process on it, and eval runs
// Lua in one and gives the result.
func openAos(t *testing.T, now func() time.Time) (n *Node, spawn func(name string, tags ...dataitem.Tag) ao.ID, eval func(process ao.ID, code string) string) {
	t.Helper()
	return openAosWith(t, Options{DataDir: t.TempDir(), Now: now})
}

func openAosWith(t *testing.T, options Options) (n *Node, spawn func(name string, tags ...dataitem.Tag) ao.ID, eval func(process ao.ID, code string) string) {
	t.Helper()
	module := filepath.Join("..", "testdata", "modules", "aos2_0_6.wasm")
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIPPED: %s is not there: run make modules, which needs npm", module)
	}
	options.AnyPort, options.CacheDir, options.Modules = true, testCacheDir, []ModuleFile{{Path: module}}
	n, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	owner, client := logtest.Signer(t, 9), clientOf(n)
	spawn = func(name string, tags ...dataitem.Tag) ao.ID {
		t.Helper()
		item := logtest.ProcessItem(t, owner, name, append(tags, dataitem.Tag{Name: ao.TagModule, Value: n.Info().Modules[0].ID})...)
		if err := client.Post(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		return item.ID()
	}
	eval = func(process ao.ID, code string) string {
		t.Helper()
		item := logtest.MessageItem(t, owner, process, code, dataitem.Tag{Name: "Action", Value: "Eval"})
		if err := client.Post(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		result, err := client.Result(t.Context(), process, item.ID())
		if err != nil {
			t.Fatal(err)
		}
		return string(result.JSON())
	}
	return n, spawn, eval
}

// awaitEntry waits for a place in a process's log.
func awaitEntry(t *testing.T, n *Node, process ao.ID, nonce uint64) aolog.Entry {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		entry, err := n.log.Read(t.Context(), process, nonce)
		if err == nil {
			return entry
		}
		if !errors.Is(err, aolog.ErrEntryUnknown) || time.Now().After(deadline) {
			t.Fatalf("nonce %d of process %s: %v", nonce, process, err)
		}
	}
}

// TestAQuorumOfMessengers has a node and two other keys as a process's authorities:
// what another process sends arrives when a second of them has said the same.
func TestAQuorumOfMessengers(t *testing.T) {
	n, spawn, eval := openAos(t, nil)
	second, stranger := logtest.Signer(t, 21), logtest.Signer(t, 22)
	third := logtest.Signer(t, 23)
	address := func(s dataitem.Signer) string { return dataitem.NativeAddress(s.Owner()) }
	target := spawn("target",
		dataitem.Tag{Name: ao.TagAuthority, Value: n.AuthorityAddress() + "," + address(second)},
		dataitem.Tag{Name: ao.TagAuthority, Value: address(third)},
		dataitem.Tag{Name: ao.TagAuthorityQuorum, Value: "2/3"})
	sender := spawn("sender", dataitem.Tag{Name: ao.TagAuthority, Value: n.AuthorityAddress()})
	eval(target, `Pings = 0; Handlers.add("ping", { Action = "Ping" }, function(msg) Pings = Pings + 1; Trust = msg.From .. " " .. msg.Owner end)`)
	eval(sender, `ao.send({ Target = "`+target.String()+`", Action = "Ping", Data = "x" })`)

	delivered, err := awaitEntry(t, n, target, 2).Item()
	if err != nil {
		t.Fatal(err)
	}
	if got := eval(target, "return Pings .. ' pings'"); !strings.Contains(got, "0 pings") {
		t.Errorf("one authority was enough: %s", got)
	}
	info := func() (info AuthoritiesInfo) {
		t.Helper()
		target := n.Info().URLs.Gateway + PathAuthorities + "?" + url.Values{"process": {target.String()}}.Encode()
		if err := clientOf(n).Do(t.Context(), "GET", target, "", nil, &info); err != nil {
			t.Fatal(err)
		}
		return info
	}
	waiting := info()
	want := AuthoritiesInfo{
		Process: target, Quorum: "2/3",
		Authorities: []AuthorityInfo{{n.AuthorityAddress(), "the messenger of this node"}, {address(second), ""}, {address(third), ""}},
		Waiting:     []WaitingPush{{Nonce: 2, Message: delivered.ID(), From: sender.String(), Action: "Ping", By: []string{n.AuthorityAddress()}}},
	}
	if len(waiting.Waiting) == 1 {
		want.Waiting[0].Push = waiting.Waiting[0].Push
	}
	if diff := cmp.Diff(want, waiting); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The others need not have known which user's message it descends from.
	draft := dataitem.Draft{Target: delivered.Target, Anchor: delivered.Anchor, Tags: delivered.Tags.Without(ao.TagPushedFor), Data: delivered.Data}
	for _, c := range []struct {
		signer dataitem.Signer
		pings  string
	}{{stranger, "0 pings"}, {second, "1 pings"}, {third, "1 pings"}} {
		item, err := dataitem.Create(draft, c.signer)
		if err != nil {
			t.Fatal(err)
		}
		if err := clientOf(n).Post(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		if got := eval(target, "return Pings .. ' pings' -- after "+item.ID().String()); !strings.Contains(got, c.pings) {
			t.Errorf("after %s: %s, want %s", address(c.signer), got, c.pings)
		}
	}
	if got := eval(target, "return Trust"); !strings.Contains(got, sender.String()+" "+address(second)) {
		t.Errorf("the process saw a push from %s", got)
	}
	if left := info(); len(left.Waiting) != 0 {
		t.Errorf("still waiting: %+v", left.Waiting)
	}
	if diff := cmp.Diff("", info().After); diff != "" {
		t.Error(diff)
	}
	if _, err := n.Authorities(t.Context(), ao.ID{7}, ao.ID{}, 1); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("of no process: %v", err)
	}
}

func TestASpawnWithAQuorumThatCannotBeMeantIsRefused(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer closeNode(t, n)
	tags := []dataitem.Tag{{Name: ao.TagAuthority, Value: n.AuthorityAddress()}, {Name: ao.TagAuthorityQuorum, Value: "2/3"}}
	client := clientOf(n)
	for _, unit := range []string{client.MU, client.SU} {
		item := logtest.ProcessItem(t, logtest.Signer(t, 9), "refused", tags...)
		err := client.Do(t.Context(), "POST", unit, "application/octet-stream", item.Bytes(), nil)
		if ao.CodeOf(err) != ao.CodeInvalid || !strings.Contains(err.Error(), "there are 3 authorities, and the tags Authority name 1: make them equal") {
			t.Errorf("%s: %v", unit, err)
		}
	}
}
