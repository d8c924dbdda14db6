package messenger

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

// promisingLog counts what a monitor asks of a log.
type promisingLog struct {
	aolog.Log
	mu       sync.Mutex
	heads    int
	promises []aolog.Promise
}

func (l *promisingLog) Head(ctx context.Context, process ao.ID) (aolog.Head, error) {
	l.mu.Lock()
	l.heads++
	l.mu.Unlock()
	return l.Log.Head(ctx, process)
}

func (l *promisingLog) Promise(ctx context.Context, p aolog.Promise) (aolog.Head, error) {
	l.mu.Lock()
	l.promises = append(l.promises, p)
	l.mu.Unlock()
	return l.Log.Promise(ctx, p)
}

func (l *promisingLog) asked() (heads, promises int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heads, len(l.promises)
}

// clockwork has one cron for each process and evaluates a tick in the time it is told
// to take.
type clockwork struct {
	log   aolog.Log
	takes time.Duration

	mu     sync.Mutex
	crons  map[ao.ID]*clockworkCron
	failed error
}

type clockworkCron struct {
	every, nextMS int64
	ticks, left   uint64
	lateMS, ahead int64
}

func (c *clockwork) add(t *testing.T, process ao.ID, every time.Duration) *clockworkCron {
	t.Helper()
	head, err := c.log.Head(t.Context(), process)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cron := &clockworkCron{every: every.Milliseconds(), nextMS: head.TimestampMS + every.Milliseconds()}
	c.crons[process] = cron
	return cron
}

func (c *clockwork) PassTime(ctx context.Context, process ao.ID, untilMS int64) error {
	head, err := c.log.Head(ctx, process)
	if err != nil {
		return err
	}
	skips, err := c.log.Skips(ctx, process, head.Nonce)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cron := c.crons[process]
	if cron == nil || c.failed != nil {
		return c.failed
	}
	untilMS = min(untilMS, head.PromisedMS)
	cron.ahead = max(cron.ahead, (head.PromisedMS-cron.nextMS+cron.every-1)/cron.every)
	for ; cron.nextMS < untilMS; cron.nextMS += cron.every {
		skipped := false
		for _, skip := range skips {
			skipped = skipped || skip.FromMS <= cron.nextMS && cron.nextMS < skip.UntilMS
		}
		if skipped {
			cron.left++
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		cron.lateMS = max(cron.lateMS, time.Now().UnixMilli()-cron.nextMS)
		cron.ticks++
		if c.takes > 0 {
			c.mu.Unlock()
			time.Sleep(c.takes)
			c.mu.Lock()
		}
	}
	return nil
}

func (c *clockwork) Crons(_ context.Context, process ao.ID, behindMS, nextMS int64) (status engine.Crons, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cron := c.crons[process]
	if cron == nil {
		return status, nil
	}
	status.Crons = make([]ao.Cron, 1)
	if behindMS > cron.nextMS {
		status.Behind = uint64((behindMS - cron.nextMS + cron.every - 1) / cron.every)
	}
	if cron.nextMS < nextMS {
		status.NextMS = cron.nextMS
	}
	return status, nil
}

func (c *clockwork) Ahead(_ context.Context, process ao.ID, count uint64, untilMS int64) (int64, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cron := c.crons[process]
	if cron == nil || cron.nextMS >= untilMS {
		return untilMS, false, nil
	}
	return min(untilMS, cron.nextMS+int64(count)*cron.every), true, nil
}

func (c *clockwork) of(cron *clockworkCron) clockworkCron {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *cron
}

// monitored is a monitor's surroundings, in a bubble of virtual time.
type monitored struct {
	*testing.T
	log    *promisingLog
	clock  *clockwork
	logged bytes.Buffer
}

func newMonitored(t *testing.T) *monitored {
	log := &promisingLog{Log: memory.New(logtest.Signer(t, 1), time.Now)}
	return &monitored{T: t, log: log, clock: &clockwork{log: log.Log, crons: map[ao.ID]*clockworkCron{}}}
}

func (m *monitored) open(change func(*MonitorOptions)) *Monitor {
	options := MonitorOptions{Log: m.log, Engine: m.clock, Logger: zerolog.New(&m.logged)}
	if change != nil {
		change(&options)
	}
	return OpenMonitor(options)
}

func (m *monitored) close(monitor *Monitor) {
	m.Helper()
	if err := monitor.Close(); err != nil {
		m.Error(err)
	}
}

func (m *monitored) watch(process ao.ID, on bool) {
	m.Helper()
	if _, err := m.log.Watch(m.Context(), process, on); err != nil {
		m.Fatal(err)
	}
}

// TestWatchedProcessesAreDrivenWhenTheyAreDue counts what driving costs: a step for
// each tick, and nothing in between.
func TestWatchedProcessesAreDrivenWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitored(t)
		var crons []*clockworkCron
		for i, every := range []time.Duration{time.Second, 10 * time.Second, 10 * time.Minute, time.Second} {
			process := logtest.Spawn(t, m.log, string(rune('a'+i)))
			crons = append(crons, m.clock.add(t, process, every))
			m.watch(process, i < 3)
		}
		m.watch(logtest.Spawn(t, m.log, "without crons"), true)
		monitor := m.open(nil)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		for i, want := range []uint64{60, 6, 0, 0} {
			if cron := m.clock.of(crons[i]); cron.ticks != want || cron.lateMS > 10 {
				t.Errorf("cron %d has %d ticks, not %d, up to %d ms late", i, cron.ticks, want, cron.lateMS)
			}
		}
		if heads, promises := m.log.asked(); promises > 66 || heads > 80 {
			t.Errorf("it asked for the head %d times, and for %d promises", heads, promises)
		}
		m.close(monitor)
	})
}

// TestWhoIsWatchedIsNoticed changes that while a monitor runs.
func TestWhoIsWatchedIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitored(t)
		monitor := m.open(nil)
		process := logtest.Spawn(t, m.log, "a")
		cron := m.clock.add(t, process, time.Second)
		time.Sleep(5 * time.Second)
		m.watch(process, true)
		monitor.Wake()
		synctest.Wait()
		time.Sleep(5100 * time.Millisecond)
		if ticks := m.clock.of(cron).ticks; ticks != 10 {
			t.Errorf("%d ticks in 10 s", ticks)
		}
		m.watch(process, false)
		time.Sleep(10 * time.Second) // nobody wakes it
		if ticks := m.clock.of(cron).ticks; ticks > 13 {
			t.Errorf("%d ticks, though it is not watched any more", ticks)
		}
		m.close(monitor)
	})
}

// TestWhoDoesNotLeadOnlyFollows leaves promises to another node.
func TestWhoDoesNotLeadOnlyFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitored(t)
		process := logtest.Spawn(t, m.log, "a")
		cron := m.clock.add(t, process, time.Second)
		m.watch(process, true)
		var leads bool
		var mu sync.Mutex
		monitor := m.open(func(o *MonitorOptions) {
			o.Owns = func(ao.ID) bool { mu.Lock(); defer mu.Unlock(); return leads }
		})
		time.Sleep(5 * time.Second)
		if _, promises := m.log.asked(); promises != 0 || m.clock.of(cron).ticks != 0 {
			t.Errorf("%d promises, %d ticks", promises, m.clock.of(cron).ticks)
		}
		if _, err := m.log.Log.Promise(t.Context(), aolog.Promise{Process: process, UntilMS: time.Now().UnixMilli()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		if ticks := m.clock.of(cron).ticks; ticks != 4 {
			t.Errorf("%d ticks behind a promise of another", ticks)
		}
		mu.Lock()
		leads = true
		mu.Unlock()
		time.Sleep(1500 * time.Millisecond)
		if ticks := m.clock.of(cron).ticks; ticks != 6 {
			t.Errorf("%d ticks after a fail-over", ticks)
		}
		m.close(monitor)
	})
}

// TestAWeekBehindIsCaughtUpInSteps has few ticks promised before they are evaluated,
// so that somebody who has seen how far it is can have the rest left out.
func TestAWeekBehindIsCaughtUpInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitored(t)
		process := logtest.Spawn(t, m.log, "a")
		cron := m.clock.add(t, process, time.Second)
		m.watch(process, true)
		time.Sleep(7 * 24 * time.Hour)
		m.clock.takes = 2 * time.Millisecond
		monitor := m.open(nil)
		time.Sleep(time.Minute)
		if ahead := m.clock.of(cron).ahead; ahead > 5000 {
			t.Errorf("%d ticks were promised ahead", ahead)
		}
		if _, err := m.log.Log.Promise(t.Context(), aolog.Promise{Process: process, UntilMS: time.Now().UnixMilli(), Skip: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		m.close(monitor)
		got := m.clock.of(cron)
		if got.ticks < 25_000 || got.ticks > 40_000 || got.ticks+got.left < 604_800 {
			t.Errorf("%d ticks were evaluated and %d left out", got.ticks, got.left)
		}
		said := m.logged.String()
		if strings.Count(said, "catching up with crons") < 5 || !strings.Contains(said, `"of":599`) || !strings.Contains(said, `"perSecond":499`) || strings.Count(said, "caught up with crons") != 1 {
			t.Errorf("it said:\n%s", said)
		}
	})
}

// TestCatchingUpSaysHowMuchIsLeft is for somebody who cannot wait.
func TestCatchingUpSaysHowMuchIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitored(t)
		process := logtest.Spawn(t, m.log, "a")
		cron := m.clock.add(t, process, time.Second)
		time.Sleep(20_000*time.Second + time.Millisecond)
		m.clock.takes = time.Millisecond
		monitor := m.open(nil)
		now := time.Now().UnixMilli()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		err := monitor.CatchUp(ctx, process, now)
		cancel()
		if ao.CodeOf(err) != ao.CodeUnavailable || !strings.Contains(err.Error(), " ticks are left") {
			t.Errorf("the error is %v, after %d ticks", err, m.clock.of(cron).ticks)
		}
		if err := monitor.CatchUp(t.Context(), process, now); err != nil || m.clock.of(cron).ticks != 20_000 {
			t.Errorf("%d ticks, %v", m.clock.of(cron).ticks, err)
		}
		if err := monitor.CatchUp(t.Context(), ao.ID{9}, now); err == nil {
			t.Error("a stranger is caught up with")
		}
		m.close(monitor)
	})
}

// TestAFailureIsTriedAgain is for a process whose module is not published yet.
func TestAFailureIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitored(t)
		process := logtest.Spawn(t, m.log, "a")
		cron := m.clock.add(t, process, time.Second)
		m.watch(process, true)
		m.clock.failed = ao.Errorf(ao.CodeNotFound, "module is not published")
		monitor := m.open(nil)
		time.Sleep(20 * time.Second)
		if heads, _ := m.log.asked(); heads > 10 {
			t.Errorf("it was tried %d times in 20 s", heads)
		}
		m.clock.mu.Lock()
		m.clock.failed = nil
		m.clock.mu.Unlock()
		time.Sleep(6 * time.Second)
		if ticks := m.clock.of(cron).ticks; ticks < 25 {
			t.Errorf("%d ticks in 26 s", ticks)
		}
		m.close(monitor)
	})
}

// TestTenThousandProcessesCostNothingBetweenTheirTicks has each tick every ten
// minutes.
func TestTenThousandProcessesCostNothingBetweenTheirTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitored(t)
		const count = 10_000
		var crons []*clockworkCron
		for i := range count {
			process := logtest.Spawn(t, m.log, strconv.Itoa(i))
			crons = append(crons, m.clock.add(t, process, 10*time.Minute))
			m.watch(process, true)
			time.Sleep(60 * time.Millisecond)
		}
		monitor := m.open(func(o *MonitorOptions) { o.RefreshMS = 3_600_000 })
		time.Sleep(25 * time.Minute)
		synctest.Wait()
		heads, promises := m.log.asked()
		var ticks uint64
		for _, cron := range crons {
			got := m.clock.of(cron)
			ticks += got.ticks
			if got.ticks < 2 || got.lateMS > 100 {
				t.Fatalf("%d ticks, up to %d ms late", got.ticks, got.lateMS)
			}
		}
		if uint64(promises) != ticks || uint64(heads) > ticks+count {
			t.Errorf("%d ticks took %d promises, and %d times the head was asked for", ticks, promises, heads)
		}
		m.close(monitor)
	})
}
