package engine

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
	"github.com/wallaby-ao/wallaby/vm"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		if err := evaluateUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	// badger's caches start goroutines that its Close does not wait for.
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2.(*defaultPolicy[...]).processItems"))
}

// bench is an engine with a log, a store and a machine of its own.
type bench struct {
	*testing.T
	*Engine
	log     *memory.Log
	signer  dataitem.Signer
	driver  *testDriver
	modules moduleMap
	dir     string
	db      *badger.DB
	change  func(*Options)
	sent    int
}

var testTags = dataitem.Tags{
	{Name: ao.TagModuleFormat, Value: testFormat},
	{Name: ao.TagInputEncoding, Value: "JSON-1"},
	{Name: ao.TagOutputEncoding, Value: "JSON-1"},
	{Name: ao.TagMemoryLimit, Value: "1-gb"},
	{Name: ao.TagComputeLimit, Value: "9000000000000"},
}

func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	now := int64(1_700_000_000_000)
	return newBenchAt(t, func() time.Time { now += 10; return time.UnixMilli(now) }, change)
}

// newBenchAt has a clock of the log's.
func newBenchAt(t *testing.T, now func() time.Time, change func(*Options)) *bench {
	t.Helper()
	b := &bench{T: t, signer: logtest.Signer(t, 1), driver: newTestDriver(), dir: t.TempDir(), change: change}
	b.log = memory.New(b.signer, now)
	b.modules = moduleMap{{1}: {ID: ao.ID{1}, Owner: "module-owner", Tags: testTags}}
	b.db = openDB(t, b.dir)
	b.open()
	t.Cleanup(func() {
		b.close()
		if err := b.db.Close(); err != nil {
			t.Error(err)
		}
		if live := b.driver.live.Load(); live != 0 {
			t.Errorf("%d processes were never closed", live)
		}
	})
	return b
}

func (b *bench) open() {
	b.Helper()
	options := Options{Log: b.log, DB: b.db, Drivers: []vm.Driver{b.driver}, Modules: b.modules, RetryMS: 20}
	if b.change != nil {
		b.change(&options)
	}
	var err error
	if b.Engine, err = Open(b.Context(), options); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) close() {
	if err := b.Engine.Close(); err != nil {
		b.Error(err)
	}
}

func (b *bench) spawn(tags ...dataitem.Tag) ao.ID {
	b.Helper()
	b.sent++
	item := logtest.ProcessItem(b, b.signer, fmt.Sprint(b.sent), tags...)
	if _, _, err := b.log.Append(b.Context(), aolog.Proposal{Item: item}); err != nil {
		b.Fatal(err)
	}
	return item.ID()
}

func (b *bench) send(process ao.ID, data string, tags ...dataitem.Tag) ao.ID {
	b.Helper()
	b.sent++
	item := logtest.MessageItem(b, b.signer, process, data, append(tags, dataitem.Tag{Name: "N", Value: fmt.Sprint(b.sent)})...)
	if _, _, err := b.log.Append(b.Context(), aolog.Proposal{Item: item}); err != nil {
		b.Fatal(err)
	}
	return item.ID()
}

func (b *bench) result(process, id ao.ID) Evaluation {
	b.Helper()
	evaluation, err := b.Result(b.Context(), process, id)
	if err != nil {
		b.Fatal(err)
	}
	return evaluation
}

func (b *bench) output(process, id ao.ID) string {
	b.Helper()
	return string(b.result(process, id).Result.Output)
}

// eventually polls, because evaluation goes on by itself.
func (b *bench) eventually(what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestMessagesRunInOrder(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	var want []string
	var last ao.ID
	for i := range 300 {
		want = append(want, fmt.Sprintf("add %d", i))
		last = b.send(process, want[i])
	}
	if got := b.output(process, last); !strings.HasSuffix(got, `,298,299"`) {
		t.Errorf("output is %s", got)
	}
	if diff := cmp.Diff(append([]string{" "}, want...), b.driver.orders[process.String()]); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if got := b.output(process, process); got != `""` {
		t.Errorf("the process's own evaluation gave %s", got)
	}
}

func TestProcessesAreEvaluatedWithoutBeingAsked(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.send(process, "add a")
	b.eventually("the message is evaluated", func() bool { nonce, ok := b.Evaluated(process); return ok && nonce == 1 })
}

func TestProcessesRunInParallel(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Workers = 3 })
	for range 5 {
		b.send(b.spawn(), "wait")
	}
	for range 3 {
		<-b.driver.stuck
	}
	close(b.driver.gate)
	b.eventually("all are evaluated", func() bool { return b.Status().StoredTotal == 10 })
	if peak := b.driver.peak.Load(); peak != 3 {
		t.Errorf("%d messages ran at the same time, not 3", peak)
	}
}

func TestErrorsKeepTheStateAndTheEffects(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.send(process, "add a")
	refused := b.send(process, "error b")
	trapped := b.send(process, "trap c")
	exhausted := b.send(process, "memory d")
	last := b.send(process, "add e")
	for _, test := range []struct {
		id   ao.ID
		want string
	}{
		{refused, `{"Messages":[{"Target":"x","Anchor":"a","Tags":[]}],"Assignments":[],"Spawns":[],"Output":"half","GasUsed":5,"Error":"refused"}`},
		{trapped, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"","Error":"trap: unreachable"}`},
		{exhausted, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"alas: not enough memory for buffer allocation","GasUsed":5}`},
		{last, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":",a,e","GasUsed":5}`},
	} {
		if diff := cmp.Diff(test.want, string(b.result(process, test.id).Result.JSON())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestResultIsFoundByMessageAssignmentAndProcess(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	message := b.send(process, "add a")
	byMessage := b.result(process, message)
	byAssignment := b.result(process, byMessage.Assignment)
	if diff := cmp.Diff(byMessage, byAssignment); diff != "" {
		t.Errorf("(-by message +by assignment):\n%s", diff)
	}
	if boot := b.result(process, process); boot.Nonce != 0 || boot.Message != process || boot.Process != process {
		t.Errorf("boot is %+v", boot)
	}
	if byMessage.Nonce != 1 || byMessage.Message != message || byMessage.TimestampMS == 0 {
		t.Errorf("evaluation is %+v", byMessage)
	}
}

func TestUnknownIsNotFound(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	for _, ids := range [][2]ao.ID{{process, {9}}, {{9}, {9}}, {{9}, process}} {
		if _, err := b.Result(t.Context(), ids[0], ids[1]); ao.CodeOf(err) != ao.CodeNotFound {
			t.Errorf("error is %v", err)
		}
	}
	if _, err := b.ResultAt(t.Context(), process, 7); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("error is %v", err)
	}
	if _, err := b.Results(t.Context(), ao.ID{9}, ResultsQuery{Limit: 1}); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("error is %v", err)
	}
}

func TestWhatCannotRunSaysWhy(t *testing.T) {
	b := newBench(t, nil)
	module := func(tags dataitem.Tags, bytes string) dataitem.Tag {
		id := ao.ID{byte(100 + len(b.modules))}
		b.modules[id] = Module{ID: id, Tags: tags, Bytes: []byte(bytes)}
		return dataitem.Tag{Name: ao.TagModule, Value: id.String()}
	}
	unknown := dataitem.Tag{Name: ao.TagModule, Value: ao.ID{77}.String()}
	for _, test := range []struct {
		tags dataitem.Tags
		code ao.Code
		text string
	}{
		{dataitem.Tags{unknown}, ao.CodeNotFound, "is not published"},
		{dataitem.Tags{module(testTags.Without(ao.TagModuleFormat), "")}, ao.CodeUnprocessable, "Module-Format for module"},
		{dataitem.Tags{module(testTags.Without(ao.TagInputEncoding), "")}, ao.CodeUnprocessable, "Input-Encoding for module"},
		{dataitem.Tags{module(testTags.Without(ao.TagMemoryLimit), "")}, ao.CodeTooLarge, "Memory-Limit for process"},
		{dataitem.Tags{module(testTags.Without(ao.TagComputeLimit), "")}, ao.CodeTooLarge, "Compute-Limit for process"},
		{dataitem.Tags{{Name: ao.TagMemoryLimit, Value: "2-gb"}}, ao.CodeTooLarge, "Memory-Limit for process"},
		{dataitem.Tags{{Name: ao.TagComputeLimit, Value: "9000000000001"}}, ao.CodeTooLarge, "Compute-Limit for process"},
		{dataitem.Tags{{Name: "VM", Value: "other"}}, ao.CodeUnprocessable, `tag VM asks for "other"`},
		{dataitem.Tags{module(testTags, "bad")}, ao.CodeUnprocessable, "it is bad"},
	} {
		process := b.spawn(test.tags...)
		_, err := b.Result(t.Context(), process, process)
		if ao.CodeOf(err) != test.code || !strings.Contains(fmt.Sprint(err), test.text) {
			t.Errorf("with %v: %s %v", test.tags, ao.CodeOf(err), err)
		}
		if _, ok := b.Evaluated(process); ok {
			t.Errorf("with %v something was stored", test.tags)
		}
	}
}

func TestModuleMayBePublishedLater(t *testing.T) {
	late := &lateModules{}
	b := newBench(t, func(o *Options) { o.Modules = late })
	process := b.spawn()
	message := b.send(process, "add a")
	if _, err := b.Result(t.Context(), process, message); ao.CodeOf(err) != ao.CodeNotFound {
		t.Fatalf("error is %v", err)
	}
	late.published.Store(true)
	b.eventually("it is tried again", func() bool { nonce, ok := b.Evaluated(process); return ok && nonce == 1 })
	if got := b.output(process, message); got != `",a"` {
		t.Errorf("output is %s", got)
	}
	if marked, err := b.store.lagging(ao.ID{}, 10); err != nil || len(marked) > 0 {
		t.Errorf("%d processes are still marked as behind, %v", len(marked), err)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	message := b.send(process, "wait")
	<-b.driver.stuck
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Result(ctx, process, message); err != context.Canceled {
		t.Errorf("error is %v", err)
	}
	close(b.driver.gate)
	b.result(process, message)
}

func TestDriverFaultDoesNotEndTheEngine(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	message := b.send(process, "panic")
	if _, err := b.Result(t.Context(), process, message); err == nil || !strings.Contains(err.Error(), "a fault in the driver") {
		t.Errorf("error is %v", err)
	}
	other := b.spawn()
	b.result(other, b.send(other, "add a"))
}

func TestMessageWithAnEarlierPlaceIsSkipped(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	first := b.send(process, "add a")
	b.result(process, first)
	b.close()
	// No log of ours gives a message two places; an imported history may.
	static := newStaticLog()
	for nonce := range uint64(2) {
		entry, err := b.log.Read(t.Context(), process, nonce)
		if err != nil {
			t.Fatal(err)
		}
		static.add(entry)
	}
	again := static.of(process)[1]
	again.HashChain = ao.NextHashChain(again.ID, again.HashChain)
	again.ID, again.Nonce = ao.ID{5}, 2
	static.add(again)
	b.change = func(o *Options) { o.Log = static }
	b.open()
	got, err := b.ResultAt(t.Context(), process, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"Messages":[],"Assignments":[],"Spawns":[],"Output":""}`, string(got.Result.JSON())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if ran := len(b.driver.orders[process.String()]); ran > 4 {
		t.Errorf("%d messages ran", ran)
	}
}

func TestBrokenHashChainIsFatal(t *testing.T) {
	static := newStaticLog()
	failed := make(chan error, 1)
	b := newBench(t, func(o *Options) { o.Fatal = func(err error) { failed <- err } })
	process := b.spawn()
	b.send(process, "add a")
	b.close()
	for nonce := range uint64(2) {
		entry, err := b.log.Read(t.Context(), process, nonce)
		if err != nil {
			t.Fatal(err)
		}
		entry.HashChain[0] ^= byte(nonce)
		static.add(entry)
	}
	b.change = func(o *Options) {
		o.Log, o.DB, o.Fatal = static, openDB(t, t.TempDir()), func(err error) { failed <- err }
	}
	b.open()
	if err := <-failed; !strings.Contains(err.Error(), "hash chain") {
		t.Errorf("error is %v", err)
	}
	b.close()
	if err := b.options.DB.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseFinishesTheMessageInHand(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.send(process, "wait")
	b.send(process, "add a")
	<-b.driver.stuck
	closed := make(chan struct{})
	go func() { b.close(); close(closed) }()
	b.eventually("closing has begun", func() bool { return b.running.Err() != nil })
	close(b.driver.gate)
	<-closed
	if nonce, _ := b.Evaluated(process); nonce != 1 {
		t.Errorf("evaluated up to nonce %d, not 1", nonce)
	}
	b.open()
	b.eventually("the rest is evaluated", func() bool { nonce, _ := b.Evaluated(process); return nonce == 2 })
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	b := newBench(t, func(o *Options) { o.CloseGraceMS = 1 })
	process := b.spawn()
	b.send(process, "wait")
	<-b.driver.stuck
	b.close()
	if nonce, _ := b.Evaluated(process); nonce != 0 {
		t.Errorf("evaluated up to nonce %d, not 0", nonce)
	}
	close(b.driver.gate)
	b.open()
	b.eventually("it is evaluated after all", func() bool { nonce, _ := b.Evaluated(process); return nonce == 1 })
}
