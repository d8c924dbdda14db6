package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
)

// echoDriver runs processes that answer with the data of their messages, when
// that is JSON: so a test says what a process sends.
type echoDriver struct{ vm.Driver }

func (echoDriver) Load(_ context.Context, source vm.Source) (vm.Module, error) {
	return echo{info: vm.Info{Format: source.Format, PointerBits: 32}}, nil
}

// echo is a module and a process, which has no state.
type echo struct{ info vm.Info }

func (e echo) Info() vm.Info { return e.info }

func (e echo) New(context.Context, vm.Config, vm.SnapshotReader) (vm.Process, error) { return e, nil }

func (e echo) Handle(_ context.Context, call vm.Call) (vm.Output, error) {
	var message struct{ Data string }
	if err := json.Unmarshal(call.Message, &message); err != nil {
		return vm.Output{}, err
	}
	if !strings.HasPrefix(message.Data, "{") {
		message.Data = "{}"
	}
	return vm.Output{Response: []byte(message.Data)}, nil
}

func (e echo) Rollback(context.Context) error           { return nil }
func (e echo) Snapshot(w vm.SnapshotWriter) error       { return w.Memory(0) }
func (e echo) Fork(context.Context) (vm.Process, error) { return e, nil }
func (e echo) ResidentBytes() uint64                    { return 1 }
func (e echo) Close() error                             { return nil }

// openEcho opens a node of its own, with a scheduler of its own.
func openEcho(t *testing.T, change func(*Options)) *Node {
	t.Helper()
	module := filepath.Join(t.TempDir(), "echo.wasm")
	if err := os.WriteFile(module, vmtest.Guest(), 0o644); err != nil {
		t.Fatal(err)
	}
	options := Options{
		AnyPort: true, Modules: []ModuleFile{{Path: module}},
		WrapDriver: func(d vm.Driver) vm.Driver { return echoDriver{d} },
	}
	if change != nil {
		change(&options)
	}
	options.Ephemeral = options.DataDir == ""
	n, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var loopback4 = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// spawnOn starts a process that names the node's scheduler.
func spawnOn(t *testing.T, n *Node, name string) ao.ID {
	t.Helper()
	item := signed(t, logtest.Signer(t, 9), dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagVariant, Value: ao.Variant}, {Name: ao.TagType, Value: ao.TypeProcess},
		{Name: ao.TagModule, Value: n.modules[0].ID}, {Name: ao.TagScheduler, Value: n.SchedulerAddress()}, {Name: "Name", Value: name},
	})
	if err := clientOf(n).Post(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	return item.ID()
}

type tagJSON = map[string]string

// told is a message as a process sends it.
func told(target ao.ID, number int) map[string]any {
	return map[string]any{"Target": target.String(), "Anchor": fmt.Sprintf("%032d", number), "Data": fmt.Sprint(number), "Tags": []tagJSON{}}
}

// answers has a process answer with this response.
func answers(t *testing.T, n *Node, process ao.ID, response map[string]any) {
	t.Helper()
	text, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if err := clientOf(n).Post(t.Context(), logtest.MessageItem(t, logtest.Signer(t, 9), process, string(text))); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// logged lists what a process of a node got after its spawn: data, or the id of
// what was assigned.
func logged(t *testing.T, n *Node, process ao.ID) (list []string) {
	t.Helper()
	err := n.log.Range(t.Context(), process, 1, 1<<40, func(entry aolog.Entry) error {
		if entry.IsBare() {
			list = append(list, entry.Message.String())
			return nil
		}
		item, err := entry.Item()
		if err == nil {
			list = append(list, string(item.Data))
		}
		return err
	})
	if err != nil && !errors.Is(err, aolog.ErrEntryUnknown) {
		t.Fatal(err)
	}
	return list
}

func pending(t *testing.T, n *Node) []engine.Effect {
	t.Helper()
	effects, err := n.engine.Outbox().List(t.Context(), engine.OutboxQuery{State: engine.EffectPending, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return effects
}

func TestProcessesOfTwoSchedulersReachEachOther(t *testing.T) {
	b := openEcho(t, nil)
	defer closeNode(t, b)
	a := openEcho(t, func(o *Options) { o.Gateways, o.AllowAddresses = []string{b.Info().URLs.Gateway}, loopback4 })
	defer closeNode(t, a)
	sender, receiver, other := spawnOn(t, a, "sender"), spawnOn(t, b, "receiver"), spawnOn(t, b, "other")
	var messages []any
	var want []string
	for i := range 20 {
		messages = append(messages, told(receiver, i))
		want = append(want, fmt.Sprint(i))
	}
	answers(t, a, sender, map[string]any{
		"Messages":    messages,
		"Assignments": []any{map[string]any{"Processes": []string{receiver.String()}, "Message": other.String()}},
		"Spawns": []any{map[string]any{"Data": "x", "Tags": []tagJSON{
			{"name": "Module", "value": b.modules[0].ID}, {"name": "Scheduler", "value": b.SchedulerAddress()}, {"name": "Name", "value": "child"},
		}}},
	})
	eventually(t, "all is delivered", func() bool { return len(logged(t, b, receiver)) == 21 && len(logged(t, a, sender)) == 2 })
	got := logged(t, b, receiver)
	if !slices.Contains(got, other.String()) {
		t.Errorf("%s was not assigned", other)
	}
	got = slices.DeleteFunc(got, func(s string) bool { return s == other.String() }) // wherever it came between
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the receiver has (-want +got):\n%s", diff)
	}
	entry, err := b.log.Read(t.Context(), receiver, 1)
	if err != nil {
		t.Fatal(err)
	}
	item, err := entry.Item()
	if err != nil {
		t.Fatal(err)
	}
	if item.Tags.Get(ao.TagFromProcess) != sender.String() || item.Address() != a.AuthorityAddress() {
		t.Errorf("from %s, signed by %s", item.Tags.Get(ao.TagFromProcess), item.Address())
	}
	list, err := b.Processes(t.Context(), ao.ID{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]ao.ID{}
	for _, info := range list {
		names[info.Name] = info.ID
	}
	if _, err := a.log.Head(t.Context(), names["child"]); names["child"].IsZero() || err == nil {
		t.Errorf("the child is not on the node whose scheduler it names, but in %v", names)
	}
	eventually(t, "the outbox is empty", func() bool { return len(pending(t, a)) == 0 })

	// A client's message to it may be given to either messenger, twice to each.
	message := logtest.MessageItem(t, logtest.Signer(t, 9), receiver, "by hand")
	for _, n := range []*Node{a, b, a, b} {
		if err := clientOf(n).Post(t.Context(), message); err != nil {
			t.Error(err)
		}
	}
	id, err := clientOf(a).Assign(t.Context(), receiver, message.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"by hand"}, logged(t, b, receiver)[21:]); diff != "" {
		t.Errorf("the receiver has also (-want +got):\n%s", diff)
	}
	if nonce, err := b.log.Find(t.Context(), receiver, id); err != nil || nonce != 22 {
		t.Errorf("assignment %s of what it has already is at %d, %v", id, nonce, err)
	}
}

// TestASchedulerThatComesBackGetsEverythingOnce restarts the other node, which
// then answers on another port.
func TestASchedulerThatComesBackGetsEverythingOnce(t *testing.T) {
	dir := t.TempDir()
	options := func(o *Options) { o.DataDir = dir }
	b := openEcho(t, options)
	var mu sync.Mutex
	var behind http.Handler
	show := func(n *Node) {
		u, err := url.Parse(n.Info().URLs.Gateway)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		behind = httputil.NewSingleHostReverseProxy(u)
	}
	show(b)
	// The gateway keeps its address, as one of somebody else would.
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		handler := behind
		mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	defer gateway.Close()
	a := openEcho(t, func(o *Options) { o.Gateways, o.AllowAddresses = []string{gateway.URL}, loopback4 })
	defer closeNode(t, a)
	sender, receiver := spawnOn(t, a, "sender"), spawnOn(t, b, "receiver")
	answers(t, a, sender, map[string]any{"Messages": []any{told(receiver, 0)}})
	eventually(t, "the first message is there", func() bool { return len(logged(t, b, receiver)) == 1 })
	closeNode(t, b)
	answers(t, a, sender, map[string]any{"Messages": []any{told(receiver, 1), told(receiver, 2)}})
	eventually(t, "an attempt has failed and says why", func() bool {
		effects := pending(t, a)
		return len(effects) == 2 && strings.Contains(effects[0].Error, "cannot be reached")
	})
	b = openEcho(t, options)
	defer closeNode(t, b)
	show(b)
	eventually(t, "all is there", func() bool { return len(logged(t, b, receiver)) == 3 })
	if diff := cmp.Diff([]string{"0", "1", "2"}, logged(t, b, receiver)); diff != "" {
		t.Errorf("the receiver has (-want +got):\n%s", diff)
	}
	eventually(t, "the outbox is empty", func() bool { return len(pending(t, a)) == 0 })
}

// TestAnAddressThatIsNotAllowedIsNotReached: the effect waits, and says which
// setting would let it go.
func TestAnAddressThatIsNotAllowedIsNotReached(t *testing.T) {
	b := openEcho(t, nil)
	defer closeNode(t, b)
	a := openEcho(t, func(o *Options) { o.Gateways = []string{b.Info().URLs.Gateway} })
	defer closeNode(t, a)
	sender, receiver := spawnOn(t, a, "sender"), spawnOn(t, b, "receiver")
	answers(t, a, sender, map[string]any{"Messages": []any{told(receiver, 0)}})
	const why = "only the node's operator can allow that, with --allow-addresses loopback"
	eventually(t, "an attempt has failed", func() bool { return len(pending(t, a)) == 1 && pending(t, a)[0].Attempts > 0 })
	if effect := pending(t, a)[0]; !strings.Contains(effect.Error, why) || effect.Dead {
		t.Errorf("%q, dead %v", effect.Error, effect.Dead)
	}
	if _, body := get(t, a.Info().URLs.Gateway+PathOutbox); !strings.Contains(body, why) {
		t.Errorf("the list of effects does not say why: %s", body)
	}
	err := clientOf(a).Post(t.Context(), logtest.MessageItem(t, logtest.Signer(t, 9), receiver, "x"))
	if ao.CodeOf(err) != ao.CodeUnavailable || !strings.Contains(err.Error(), why) {
		t.Errorf("the messenger answers %v", err)
	}
	if got := logged(t, b, receiver); len(got) != 0 {
		t.Errorf("the receiver has %v", got)
	}
}

// TestARouterInFrontOfASchedulerIsFollowed has no gateway to ask: the process and
// its scheduler's location were uploaded to this node's own.
func TestARouterInFrontOfASchedulerIsFollowed(t *testing.T) {
	var b *Node
	router := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, b.Info().URLs.SU+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	defer router.Close()
	b = openEcho(t, func(o *Options) { o.SchedulerURL = router.URL })
	defer closeNode(t, b)
	a := openEcho(t, func(o *Options) { o.AllowAddresses = loopback4 })
	defer closeNode(t, a)
	sender, receiver := spawnOn(t, a, "sender"), spawnOn(t, b, "receiver")
	locations := graphQL(t, b, `tags:[{name:"Type",values:["Scheduler-Location"]}]`)
	if len(locations) != 1 {
		t.Fatalf("locations: %v", locations)
	}
	for _, text := range []string{receiver.String(), locations[0]} {
		id, err := ao.ParseID(text)
		if err != nil {
			t.Fatal(err)
		}
		item, err := b.gateway.StoredItem(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := clientOf(a).Upload(t.Context(), item); err != nil {
			t.Fatal(err)
		}
	}
	answers(t, a, sender, map[string]any{"Messages": []any{told(receiver, 0), told(receiver, 1)}})
	eventually(t, "all is there", func() bool { return len(logged(t, b, receiver)) == 2 })
	if diff := cmp.Diff([]string{"0", "1"}, logged(t, b, receiver)); diff != "" {
		t.Errorf("the receiver has (-want +got):\n%s", diff)
	}
}

func TestANodesFileNamesGatewaysAndAddresses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "n1.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("node: n1\ngateways: [https://arweave.net]\nallow-addresses: [loopback, 10.1.0.0/16]\nscheduler-url: https://su.example\n")
	options, err := ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(options.Gateways) != 1 || options.Gateways[0] != "https://arweave.net" || len(options.AllowAddresses) != 3 || options.SchedulerURL != "https://su.example" {
		t.Errorf("%v, %v, %s", options.Gateways, options.AllowAddresses, options.SchedulerURL)
	}
	write("node: n1\nallow-addresses: [everything]\n")
	if _, err := ReadFile(file); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "allow-addresses") {
		t.Errorf("%v", err)
	}
}
