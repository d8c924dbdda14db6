package engine

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// cronStart is when the clocks of these tests begin.
const cronStart = 1_700_000_000_000

// cronClock is a log's clock. It moves a little whenever it is read.
type cronClock struct{ ms atomic.Int64 }

func newCronClock() *cronClock {
	c := &cronClock{}
	c.ms.Store(cronStart)
	return c
}

func (c *cronClock) now() time.Time       { return time.UnixMilli(c.ms.Add(1)) }
func (c *cronClock) pass(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func cron(interval, command string) []dataitem.Tag {
	return []dataitem.Tag{{Name: ao.TagCronInterval, Value: interval}, {Name: "Cron-Tag-Do", Value: command}}
}

// promise has time pass for a process and evaluates it.
func (b *bench) promise(process ao.ID, skip bool) {
	b.Helper()
	if _, err := b.log.Promise(b.Context(), aolog.Promise{Process: process, UntilMS: math.MaxInt64, Skip: skip}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) passTime(process ao.ID) {
	b.Helper()
	if err := b.PassTime(b.Context(), process, math.MaxInt64); err != nil {
		b.Fatal(err)
	}
}

// history writes every evaluation of a process, and whether its effects are to be
// delivered.
func (b *bench) history(process ao.ID) (all []string) {
	b.Helper()
	err := b.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: idKey(keyRecord, process)})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			value, err := iterator.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			r, err := decodeRecord(value)
			if err != nil {
				return err
			}
			_, at := splitPlaceKey(iterator.Item().Key())
			sent, err := b.store.has(placeKey(keyOutbox, process, at))
			if err != nil {
				return err
			}
			all = append(all, fmt.Sprintf("%s: %d/%d %q flags %d sent %v %s", at, r.timestampMS, r.blockHeight, r.cron, r.flags, sent, r.result))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return all
}

func TestTicksAreMessagesOfTheOwner(t *testing.T) {
	clock := newCronClock()
	b := newBenchAt(t, clock.now, nil)
	process := b.spawn(append(cron("2-seconds", "show"), dataitem.Tag{Name: "Cron-Tag-Action", Value: "Tick"})...)
	b.result(process, process)
	clock.pass(3 * time.Second)
	b.promise(process, false)
	b.passTime(process)
	page, err := b.Results(t.Context(), process, ResultsQuery{Limit: 10, Crons: true})
	if err != nil || len(page.Evaluations) != 1 {
		t.Fatal(page, err)
	}
	got := page.Evaluations[0]
	owner := b.signerAddress()
	spawned, err := b.log.Read(t.Context(), process, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := spawned.TimestampMS + 2000
	var output string
	decode(t, got.Result.Output, &output)
	want := `{"Owner":"` + owner + `","Target":"` + process.String() + `","From":"` + owner + `","Tags":[{"name":"Do","value":"show"},{"name":"Action","value":"Tick"}],"Timestamp":` +
		itoa(at) + `,"Block-Height":0,"Cron":true,"Read-Only":false}`
	if diff := cmp.Diff(want, output); diff != "" {
		t.Errorf("the guest got (-want +got):\n%s", diff)
	}
	if got.Nonce != 0 || got.Tick != 1 || got.Cron != "0-2-seconds" || got.TimestampMS != at || !got.Message.IsZero() {
		t.Errorf("the evaluation is %+v", got)
	}
}

func (b *bench) signerAddress() string { return dataitem.NativeAddress(b.signer.Owner()) }

// TestTicksComeBeforeTheMessageBehindThem has a message end a stretch of time that
// nobody promised.
func TestTicksComeBeforeTheMessageBehindThem(t *testing.T) {
	clock := newCronClock()
	b := newBenchAt(t, clock.now, nil)
	process := b.spawn(cron("1-minute", "")...)
	clock.pass(150 * time.Second)
	last := b.send(process, "add a")
	if output := b.output(process, last); !strings.HasPrefix(output, `",tick `) || !strings.HasSuffix(output, `,a"`) {
		t.Errorf("output is %s", output)
	}
	if history := b.history(process); len(history) != 4 || !strings.HasPrefix(history[2], "tick 2 behind nonce 0") {
		t.Errorf("the history is %q", history)
	}
	status, err := b.Crons(t.Context(), process, math.MaxInt64/2, cronStart+1000_000)
	if err != nil || len(status.Crons) != 1 || status.NextMS < cronStart+179_000 || status.NextMS > cronStart+181_000 || status.EvaluatedMS < cronStart+150_000 {
		t.Errorf("the crons stand at %+v, %v", status, err)
	}
}

// TestEffectsOfTicksAreDeliveredWhileTheProcessIsWatched watches a process for some
// time, long before and after which it is evaluated.
func TestEffectsOfTicksAreDeliveredWhileTheProcessIsWatched(t *testing.T) {
	clock := newCronClock()
	b := newBenchAt(t, clock.now, nil)
	process := b.spawn(cron("1-second", "send")...)
	for _, on := range []bool{true, false, true} {
		clock.pass(3500 * time.Millisecond)
		if changed, err := b.log.Watch(t.Context(), process, on); err != nil || !changed {
			t.Fatal(changed, err)
		}
	}
	clock.pass(2 * time.Second)
	b.promise(process, false)
	b.passTime(process)
	var ticks []uint64
	for _, effect := range pendingOf(t, b.Outbox()) {
		if effect.Nonce != 0 || !effect.Root.IsZero() || effect.Key().String() != fmt.Sprintf("%s/0.%d/0", process, effect.Tick) {
			t.Errorf("effect %s has root %s", effect.Key(), effect.Root)
		}
		if parsed, err := ParseEffectKey(effect.Key().String()); err != nil || parsed != effect.Key() {
			t.Errorf("effect %s is read as %v, %v", effect.Key(), parsed, err)
		}
		ticks = append(ticks, effect.Tick)
	}
	if diff := cmp.Diff([]uint64{4, 5, 6, 7, 11, 12}, ticks); diff != "" {
		t.Errorf("ticks with effects (-want +got):\n%s", diff)
	}
}

// TestCronsThatMakeNoSenseAreNone is for a process that another scheduler took.
func TestCronsThatMakeNoSenseAreNone(t *testing.T) {
	first := aolog.Entry{ItemBytes: newBench(t, nil).badCronItem()}
	if s, err := scheduleOf(first, nil); err != nil || s != nil {
		t.Errorf("its schedule is %v, %v", s, err)
	}
}

func (b *bench) badCronItem() []byte {
	b.Helper()
	item, err := dataitem.Create(dataitem.Draft{Tags: dataitem.Tags{{Name: ao.TagCronInterval, Value: "0-seconds"}}}, b.signer)
	if err != nil {
		b.Fatal(err)
	}
	return item.Bytes()
}

// TestTicksAreTheSameHoweverTheyCame lets time, messages, restarts, evictions, skips
// and watches come at random, and compares with the reference's rule and with a cold
// replay of what the log holds in the end.
func TestTicksAreTheSameHoweverTheyCame(t *testing.T) {
	for seed := range int64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testTicksHoweverTheyCame(t, rand.New(rand.NewSource(seed))) })
	}
}

func testTicksHoweverTheyCame(t *testing.T, random *rand.Rand) {
	clock := newCronClock()
	var blocks blockList
	for at, height := int64(cronStart/1000), uint64(0); at < cronStart/1000+3000; at += 1 + random.Int63n(60) {
		blocks, height = append(blocks, Block{height, at * 1000}), height+1
	}
	change := func(o *Options) {
		o.Blocks, o.HotMax, o.SnapshotAfterMS, o.SnapshotWorthMS, o.Workers = blocks, 1, 1, 1, 2
		var now atomic.Int64
		o.Now = func() time.Time { return time.UnixMicro(now.Add(20 + random63(&now))) }
	}
	b := newBenchAt(t, clock.now, change)
	var tags []dataitem.Tag
	for _, interval := range []string{"2-blocks", "1-second", "7-seconds"} {
		tags = append(tags, cron(interval, []string{"send", "", "error"}[random.Intn(3)])...)
	}
	processes := []ao.ID{b.spawn(tags...), b.spawn(tags[2:]...), b.spawn()}
	for range 60 {
		process := processes[random.Intn(3)]
		clock.pass(time.Duration(random.Intn(15_000)) * time.Millisecond)
		switch random.Intn(8) {
		case 0:
			b.send(process, "add a")
		case 1:
			b.result(process, b.send(process, "add b"))
		case 2, 3:
			b.promise(process, random.Intn(4) == 0)
		case 4:
			b.promise(process, false)
			b.passTime(process)
		case 5:
			if _, err := b.log.Watch(t.Context(), process, random.Intn(2) == 0); err != nil {
				t.Fatal(err)
			}
		case 6:
			if _, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: new("add x")}, nil); err != nil {
				t.Fatal(err)
			}
		case 7:
			b.close()
			b.open()
		}
	}
	var want [][]string
	for _, process := range processes {
		b.promise(process, false)
		b.passTime(process)
		want = append(want, b.history(process))
		b.checkTicks(process, blocks, want[len(want)-1])
		b.checkPages(process)
		err := b.Replay(t.Context(), process, []string{"test", "test"}, func(r Replay) error {
			if r.Divergence != nil || r.Done && r.Messages != uint64(len(want[len(want)-1])) {
				t.Errorf("a replay comes to %+v", r)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if status := b.Status(); status.DivergencesTotal > 0 {
		t.Errorf("status is %+v", status)
	}
	b.close()
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	b.db = openDB(t, t.TempDir())
	b.open()
	for i, process := range processes {
		b.passTime(process)
		if diff := cmp.Diff(want[i], b.history(process)); diff != "" {
			t.Errorf("process %d after a cold replay (-before +after):\n%s", i, diff)
		}
	}
}

// random63 makes a clock's steps uneven.
func random63(now *atomic.Int64) int64 { return now.Load() * 7919 % 300 }

// checkTicks compares a history with the reference's rule.
func (b *bench) checkTicks(process ao.ID, blocks blockList, history []string) {
	b.Helper()
	first, err := b.log.Read(b.Context(), process, 0)
	if err != nil {
		b.Fatal(err)
	}
	s, err := scheduleOf(first, nil)
	if err != nil {
		b.Fatal(err)
	}
	head, err := b.log.Head(b.Context(), process)
	if err != nil {
		b.Fatal(err)
	}
	watches, err := b.log.Watches(b.Context(), process)
	if err != nil {
		b.Fatal(err)
	}
	var want []string
	for nonce := range head.Nonce + 1 {
		entry, err := b.log.Read(b.Context(), process, nonce)
		if err != nil {
			b.Fatal(err)
		}
		want = append(want, fmt.Sprintf("nonce %d: %d", nonce, entry.TimestampMS))
		if s == nil {
			continue
		}
		rightMS := head.PromisedMS
		if next, err := b.log.Read(b.Context(), process, nonce+1); err == nil {
			rightMS = next.TimestampMS
		}
		skips, err := b.log.Skips(b.Context(), process, nonce)
		if err != nil {
			b.Fatal(err)
		}
		for _, one := range looked(s, entry.TimestampMS, entry.BlockHeight, rightMS, blocks) {
			if _, left := (&ticks{skips: skips}).leftOut(one.atMS); left {
				continue
			}
			sent := one.cron.Tags.Get("Do") == "send" && watchedAt(watches, one.atMS)
			if one.cron.Tags.Get("Do") == "error" {
				sent = false
			}
			want = append(want, fmt.Sprintf("tick %d behind nonce %d: %d/%d %q sent %v", one.number, nonce, one.timestampMS, one.blockHeight, one.name, sent))
		}
	}
	var got []string
	for _, line := range history {
		if strings.HasPrefix(line, "nonce ") {
			got = append(got, strings.SplitN(line, "/", 2)[0])
			continue
		}
		place, rest, _ := strings.Cut(line, " flags ")
		_, rest, _ = strings.Cut(rest, " sent ")
		got = append(got, place+" sent "+strings.Fields(rest)[0])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("the history of process %s (-want +got):\n%s", process, diff)
	}
}

// checkPages goes through results page by page: each cursor leads to the next one.
func (b *bench) checkPages(process ao.ID) {
	b.Helper()
	for _, crons := range []bool{false, true} {
		all, err := b.Results(b.Context(), process, ResultsQuery{Limit: 1e6, Crons: crons})
		if err != nil {
			b.Fatal(err)
		}
		down, err := b.Results(b.Context(), process, ResultsQuery{Limit: 1e6, Crons: crons, Descending: true})
		if err != nil {
			b.Fatal(err)
		}
		slices.Reverse(down.Evaluations)
		if diff := cmp.Diff(all, down); diff != "" {
			b.Errorf("results of process %s (-up +down):\n%s", process, diff)
		}
		var paged ResultsPage
		for query := (ResultsQuery{Limit: 7, Crons: crons}); ; {
			page, err := b.Results(b.Context(), process, query)
			if err != nil {
				b.Fatal(err)
			}
			paged.Evaluations = append(paged.Evaluations, page.Evaluations...)
			if !page.HasNext {
				break
			}
			last := page.Evaluations[len(page.Evaluations)-1]
			cursor, err := ParseCursor(EncodeCursor(CursorOf(last, false)))
			if err != nil {
				b.Fatal(err)
			}
			query.From = &cursor
			upTo, err := b.Results(b.Context(), process, ResultsQuery{Limit: 1e6, Crons: crons, To: &cursor})
			if err != nil || len(upTo.Evaluations) != len(paged.Evaluations) {
				b.Errorf("%d results of process %s up to %s, %v, want %d", len(upTo.Evaluations), process, place{last.Nonce, last.Tick}, err, len(paged.Evaluations))
			}
		}
		if diff := cmp.Diff(all, paged); diff != "" {
			b.Errorf("results of process %s (-all +paged):\n%s", process, diff)
		}
	}
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// TestAWeekOfTicksIsCaughtUpWith takes a cron of one second a week ahead on one
// worker. Other processes have their turn, somebody who reads the log sees how far
// it is, and it stops and goes on where it was.
func TestAWeekOfTicksIsCaughtUpWith(t *testing.T) {
	clock := newCronClock()
	logged := &lines{}
	b := newBenchAt(t, clock.now, func(o *Options) {
		o.Workers, o.Logger = 1, zerolog.New(logged)
		var now atomic.Int64
		o.Now = func() time.Time { return time.UnixMicro(now.Add(50)) }
	})
	process, other := b.spawn(cron("1-second", "")...), b.spawn()
	const week = 604_800
	clock.pass(week * time.Second)
	b.promise(process, false)
	caughtUp := make(chan error, 1)
	passTime := func() { caughtUp <- b.PassTime(t.Context(), process, math.MaxInt64) }
	go passTime()
	b.eventually("many ticks are evaluated", func() bool { return b.Status().StoredTotal > 10_000 })
	b.result(other, b.send(other, "add a"))
	b.close()
	<-caughtUp
	b.open()
	status, err := b.Crons(t.Context(), process, cronStart+week*1000+500, math.MaxInt64/2)
	if err != nil || status.Behind == 0 || status.Behind > week-10_000 {
		t.Errorf("%d ticks are behind, %v", status.Behind, err)
	}
	go passTime()
	if err := <-caughtUp; err != nil {
		t.Fatal(err)
	}
	last, found, err := b.store.last(process, place{nonce: 1})
	if err != nil || !found || last != (place{0, week}) {
		t.Errorf("the last tick is %v, %v", last, err)
	}
	if logged.count("catching up with crons") < 2 || logged.count(`"of":`) < 2 || logged.count("caught up with crons") != 1 {
		t.Error("nobody was told how far it was")
	}
}

// TestResultsFromBeforeThereWereCrons go on where there are none, and are refused
// where every result would be another.
func TestResultsFromBeforeThereWereCrons(t *testing.T) {
	b := newBench(t, nil)
	plain, ticking := b.spawn(), b.spawn(cron("1-minute", "")...)
	for _, process := range []ao.ID{plain, ticking} {
		b.result(process, b.send(process, "add a"))
	}
	b.close()
	err := b.db.Update(func(txn *badger.Txn) error {
		for _, process := range []ao.ID{plain, ticking} {
			if err := txn.Set(idKey(keyProgress, process), []byte{0, 0, 0, 0, 0, 0, 0, 2}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.open()
	if got := b.output(plain, b.send(plain, "add b")); got != `",a,b"` {
		t.Errorf("without crons: %s", got)
	}
	if _, err := b.Result(t.Context(), ticking, b.send(ticking, "add b")); ao.CodeOf(err) != ao.CodeUnprocessable || !strings.Contains(err.Error(), "evaluated without them") {
		t.Errorf("with crons: %v", err)
	}
}
