package messenger_test

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

// shakyWorld is processes that send to each other, and nodes that evaluate all
// of them and share the deliveries.
type shakyWorld struct {
	testing.TB
	seed   int64
	random *rand.Rand
	log    *memory.Log
	weave  *shakyWeave
	guests *guests
	nodes  []*shaky

	user, authority dataitem.Signer
	posted          map[ao.ID]bool // by users

	wrong     wrong
	faulty    atomic.Bool
	killOneIn uint64
	kills     atomic.Int64 // that are left
}

// TestEveryEffectHappensOnce has nodes die, fail and lose the lead at every step
// of a delivery, and then looks whether each effect of each result is in its
// target's log once, in order, and whether all that is there is explained.
func TestEveryEffectHappensOnce(t *testing.T) {
	first, count := int64(0), int64(number(t, "WALLABY_SEEDS", seedsPerRun))
	if os.Getenv("WALLABY_SEED") != "" {
		first, count = int64(number(t, "WALLABY_SEED", 0)), 1
	}
	var next, effects atomic.Int64
	t.Run("worlds", func(t *testing.T) {
		for half := range 2 {
			t.Run(fmt.Sprint(half), func(t *testing.T) {
				t.Parallel()
				for seed := first + next.Add(1) - 1; seed < first+count; seed = first + next.Add(1) - 1 {
					synctest.Test(t, func(t *testing.T) { effects.Add(int64(runSeed(t, seed))) })
				}
			})
		}
	})
	if effects.Load() < 10*count {
		t.Errorf("%d worlds had %d effects: too few to say anything", count, effects.Load())
	}
}

func number(t *testing.T, name string, standard int) int {
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, text, err)
	}
	return n
}

// runSeed runs a world that must hold, and gives how many effects there were.
func runSeed(t *testing.T, seed int64) int {
	defer func() {
		if t.Failed() {
			t.Logf("to run it alone: WALLABY_SEED=%d go test -run TestEveryEffectHappensOnce ./messenger", seed)
		}
	}()
	return shakyRun(t, seed, "")
}

// wrong is something that a messenger or its node must not do.
type wrong string

const (
	completesFirst wrong = "completes an effect before it sends it"
	signsAnew      wrong = "signs an effect as other bytes after a restart"
	turnsRound     wrong = "lists effects in another order"
)

// TestWhatIsWrongIsFound: worlds in which something is wrong do not hold, so
// that TestEveryEffectHappensOnce can fail.
func TestWhatIsWrongIsFound(t *testing.T) {
	for _, what := range []wrong{completesFirst, signsAnew, turnsRound} {
		t.Run(string(what), func(t *testing.T) {
			found := &findings{TB: t}
			for seed := int64(0); seed < 200 && found.count.Load() == 0; seed++ {
				synctest.Test(t, func(t *testing.T) { shakyRun(found, seed, what) })
			}
			if found.count.Load() == 0 {
				t.Error("no world shows that")
			}
		})
	}
}

// findings counts what would be errors.
type findings struct {
	testing.TB
	count atomic.Int64
}

func (f *findings) Error(...any)          { f.count.Add(1) }
func (f *findings) Errorf(string, ...any) { f.count.Add(1) }

// shakyRun is one world, from its first message until all is quiet, and gives how
// many effects there were.
func shakyRun(t testing.TB, seed int64, what wrong) (effects int) {
	w := &shakyWorld{
		TB: t, seed: seed, wrong: what, random: rand.New(rand.NewSource(seed)), posted: map[ao.ID]bool{},
		user: logtest.Signer(t, 1), authority: logtest.Signer(t, 2), weave: &shakyWeave{items: map[ao.ID]*dataitem.Item{}},
		killOneIn: 30, guests: &guests{wallets: []string{ao.ID{201}.String(), ao.ID{202}.String()}},
	}
	w.log = memory.New(logtest.Signer(t, 3), time.Now)
	w.kills.Store(int64(w.random.Intn(6)))
	w.faulty.Store(true)
	var peers []ao.ID
	for i := range 2 + w.random.Intn(3) {
		peers = append(peers, w.spawn(fmt.Sprint("peer ", i)))
	}
	for _, peer := range peers {
		w.guests.peers = append(w.guests.peers, peer.String())
	}
	for i := range 1 + w.random.Intn(2) {
		w.nodes = append(w.nodes, newShaky(w, fmt.Sprint("node ", i)))
	}
	background, stop := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for group := range groups {
		wait.Go(func() { w.moveLead(background, group, rand.New(rand.NewSource(seed*groups+int64(group)))) })
	}
	for _, n := range w.nodes {
		wait.Go(func() { w.trouble(background, n, rand.New(rand.NewSource(seed*7+int64(n.name[5])))) })
	}
	for i := range 3 + w.random.Intn(4) {
		process := peers[w.random.Intn(len(peers))]
		w.post(logtest.MessageItem(t, w.user, process, fmt.Sprint(1+w.random.Intn(9)), dataitem.Tag{Name: "N", Value: fmt.Sprint(i)}))
		time.Sleep(time.Duration(w.random.Intn(400)) * time.Millisecond)
	}
	time.Sleep(time.Duration(w.random.Intn(4000)) * time.Millisecond)
	w.faulty.Store(false)
	stop()
	wait.Wait()
	w.settle()
	effects = w.check()
	for _, n := range w.nodes {
		n.close()
		if err := n.db.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := w.log.Close(); err != nil {
		t.Error(err)
	}
	return effects
}

// trouble restarts a node that dies, for as long as there are faults, and has its
// store kept from time to time.
func (w *shakyWorld) trouble(ctx context.Context, n *shaky, random *rand.Rand) {
	ticker := time.NewTicker(time.Duration(50+random.Intn(1500)) * time.Millisecond)
	defer ticker.Stop()
	reconcile := time.NewTicker(500 * time.Millisecond)
	defer reconcile.Stop()
	for {
		select {
		case <-n.killed:
			n.die(random.Intn(2) == 0, time.Duration(random.Intn(1500))*time.Millisecond)
		case <-ticker.C:
			n.save()
		case <-reconcile.C:
			if random.Intn(3) > 0 {
				w.reconcile(n)
			}
		case <-ctx.Done():
			n.mu.Lock()
			dying := n.dying
			n.mu.Unlock()
			if dying {
				n.die(random.Intn(2) == 0, 0)
			}
			return
		}
	}
}

// moveLead has one node after the other deliver what a group sends. For a while
// both may believe that they do, or neither.
func (w *shakyWorld) moveLead(ctx context.Context, group int, random *rand.Rand) {
	leader := w.nodes[random.Intn(len(w.nodes))]
	w.lead(leader, group)
	for {
		if !pause(ctx, time.Duration(random.Intn(800))*time.Millisecond) {
			return
		}
		if random.Intn(2) == 0 {
			// It loses the lead and has it back at once.
			leader.believe(group, false)
			pause(ctx, time.Duration(random.Intn(30))*time.Millisecond)
			w.lead(leader, group)
			continue
		}
		next := w.nodes[random.Intn(len(w.nodes))]
		if random.Intn(2) == 0 {
			leader.believe(group, false)
			pause(ctx, time.Duration(random.Intn(300))*time.Millisecond)
			w.lead(next, group)
			leader = next
			continue
		}
		w.lead(next, group)
		pause(ctx, time.Duration(random.Intn(700))*time.Millisecond)
		if next != leader {
			leader.believe(group, false)
		}
		leader = next
	}
}

func (w *shakyWorld) lead(n *shaky, group int) {
	n.believe(group, true)
	n.use(func() { n.messenger.Wake() })
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// reconcile takes out of a node's outbox what others have delivered.
func (w *shakyWorld) reconcile(n *shaky) {
	pending, err := n.engine.Outbox().Pending(context.Background(), engine.EffectKey{}, 1000)
	if err != nil {
		w.Error(err)
		return
	}
	for _, effect := range pending {
		for _, other := range w.nodes {
			if other == n || n.believes(effect.Process) || !other.believes(effect.Process) {
				continue
			}
			var state engine.EffectState
			other.use(func() { _, state, _ = other.engine.Outbox().Get(effect.Key()) })
			if state != engine.EffectDone {
				continue
			}
			if err := n.engine.Outbox().Complete(effect); err != nil {
				w.Error(err)
			}
		}
	}
}

// settle waits until everything is evaluated and delivered.
func (w *shakyWorld) settle() {
	w.Helper()
	for i := range groups {
		for _, n := range w.nodes {
			n.believe(i, false)
		}
		w.lead(w.nodes[i%len(w.nodes)], i)
	}
	for range 300 {
		for _, n := range w.nodes {
			w.reconcile(n)
		}
		if w.isQuiet() {
			return
		}
		time.Sleep(time.Second)
	}
	for _, n := range w.nodes {
		w.Errorf("seed %d: %s still has %d effects to deliver", w.seed, n.name, n.engine.Outbox().Count())
	}
}

func (w *shakyWorld) isQuiet() bool {
	heads, err := w.log.Processes(context.Background(), ao.ID{}, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	for _, n := range w.nodes {
		for _, head := range heads {
			if nonce, ok := n.engine.Evaluated(head.Process); !ok || nonce < head.Nonce {
				return false
			}
		}
		if n.engine.Outbox().Count() > 0 {
			return false
		}
	}
	// What is delivered here is evaluated before the outbox is empty; what was
	// delivered last may not be.
	again, err := w.log.Processes(context.Background(), ao.ID{}, 10_000)
	return err == nil && len(again) == len(heads) && total(again) == total(heads)
}
