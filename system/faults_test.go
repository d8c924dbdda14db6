package system

import (
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
)

// faults is how many faults a test makes: a few in every run of the tests, as
// many as WALLABY_FAULTS says in a long one.
func faults(t *testing.T) int {
	text := os.Getenv("WALLABY_FAULTS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("WALLABY_FAULTS=%s: %v", text, err)
	}
	return n
}

// world is a cluster under load whose nodes and links break.
type world struct {
	*cluster
	network *network
	random  *rand.Rand
	told    *record
	// gaps are how long after the kill of a leader every client was served again.
	gaps []time.Duration
}

// fault is one way to break a world, which is whole again when do returns, but
// for what it needs to come to terms with it.
type fault struct {
	name   string
	weight int
	do     func(*world)
}

var kinds = []fault{
	{"a leader killed", 6, (*world).killLeader},
	{"a node killed and down for a while", 2, (*world).killAny},
	{"all nodes killed", 1, (*world).killAll},
	{"a leader frozen", 3, (*world).freezeLeader},
	{"a node cut off", 2, (*world).cutOff},
	{"a node heard by nobody", 2, (*world).unheard},
	{"a node that hears nobody", 1, (*world).deaf},
	{"two nodes apart", 2, (*world).apart},
	{"slow links", 1, (*world).slowLinks},
	{"a bit flipped while a node was down", 2, (*world).flipAny},
}

// draw chooses a kind of fault by weight.
func (w *world) draw() fault {
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	at := w.random.Intn(total)
	for _, k := range kinds {
		if at -= k.weight; at < 0 {
			return k
		}
	}
	panic("no kind of fault has a weight")
}

// while gives a time for a fault to last.
func (w *world) while(most time.Duration) time.Duration {
	return 100*time.Millisecond + time.Duration(w.random.Int63n(int64(most)))
}

func (w *world) any() *process { return w.nodes[w.random.Intn(len(w.nodes))] }

func (w *world) killLeader() {
	victim, at := w.busiest(), time.Now()
	victim.kill()
	if gap, ok := awaitAckOfAll(w.cluster, w.told, at); ok {
		w.gaps = append(w.gaps, gap)
	}
	victim.start()
	victim.awaitReady()
}

func (w *world) killAny() {
	victim := w.any()
	victim.kill()
	time.Sleep(w.while(1500 * time.Millisecond))
	victim.start()
	victim.awaitReady()
}

func (w *world) killAll() {
	for _, p := range w.nodes {
		p.kill()
	}
	for _, p := range w.nodes {
		p.start()
	}
	for _, p := range w.nodes {
		p.awaitReady()
	}
}

func (w *world) freezeLeader() {
	victim := w.busiest()
	victim.signal(syscall.SIGSTOP)
	time.Sleep(w.while(3 * time.Second))
	victim.signal(syscall.SIGCONT)
}

// broken draws whether bytes on a cut way come late or never.
func (w *world) broken() treatment {
	if w.random.Intn(2) == 0 {
		return treatment{hold: true}
	}
	return treatment{lose: true}
}

// cut treats ways for a while.
func (w *world) cut(how treatment, ways ...way) {
	for _, way := range ways {
		w.network.treat(way.from, way.to, how)
	}
	time.Sleep(w.while(4 * time.Second))
	w.network.heal()
}

// around gives the ways from and to a node.
func (w *world) around(p *process) (from, to []way) {
	for _, other := range w.nodes {
		if other != p {
			from, to = append(from, way{p.id, other.id}), append(to, way{other.id, p.id})
		}
	}
	return from, to
}

func (w *world) cutOff() {
	from, to := w.around(w.busiest())
	w.cut(w.broken(), append(from, to...)...)
}

func (w *world) unheard() {
	from, _ := w.around(w.busiest())
	w.cut(w.broken(), from...)
}

func (w *world) deaf() {
	_, to := w.around(w.any())
	w.cut(w.broken(), to...)
}

func (w *world) apart() {
	first := w.random.Intn(len(w.nodes))
	a, b := w.nodes[first], w.nodes[(first+1)%len(w.nodes)]
	w.cut(w.broken(), way{a.id, b.id}, way{b.id, a.id})
}

func (w *world) slowLinks() {
	var all []way
	for _, p := range w.nodes {
		from, _ := w.around(p)
		all = append(all, from...)
	}
	w.cut(treatment{delayMax: 60 * time.Millisecond}, all...)
}

// flipAny flips a bit of a node that was killed. Either the node mends that, or
// it says which file it is and does not start; then the bit is put right, as if
// an operator had brought back the file from elsewhere.
func (w *world) flipAny() {
	victim := w.any()
	victim.kill()
	kinds, paths := victim.files(w.random)
	f := flipIn(w.t, paths[kinds[w.random.Intn(len(kinds))]], w.random)
	w.t.Logf("node %s: %s", victim.id, f)
	victim.start()
	w.mend(victim, f)
}

// mend waits until a node serves that may stop once because of a flip.
func (w *world) mend(victim *process, f flip) {
	w.t.Helper()
	if out, refused := victim.readyOrEnded(); refused {
		checkRefusal(w.t, f, out)
		victim.kill()
		f.restore(w.t)
		victim.start()
		victim.awaitReady()
	}
}

// TestFaultsLoseNothing breaks nodes and links at random under load, the
// leaders most of all.
func TestFaultsLoseNothing(t *testing.T) {
	network := newNetwork(t)
	w := &world{
		cluster: startClusterFrom(t, network.config), network: network,
		random: rand.New(rand.NewSource(1)), told: &record{acked: map[ao.ID][]ao.ID{}},
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for number := range 6 {
		clients.Go(func() {
			if err := w.client(number, stop, w.told); !errors.Is(err, errStopped) {
				t.Error(err)
			}
		})
	}
	awaitAcks(t, w.told, 50)
	for number := range 2 {
		clients.Go(func() { w.reader(number, stop, w.told) })
	}
	made := map[string]int{}
	spent := map[string]time.Duration{}
	for i := range faults(t) {
		kind, at := w.draw(), time.Now()
		t.Logf("%s fault %d: %s", at.Format(time.TimeOnly), i, kind.name)
		kind.do(w)
		awaitAcks(t, w.told, 20)
		made[kind.name]++
		spent[kind.name] += time.Since(at)
		if t.Failed() {
			t.Errorf("after fault %d, %q", i, kind.name)
			break
		}
	}
	close(stop)
	clients.Wait()
	w.check(w.told)
	t.Logf("%d messages acknowledged, none lost or moved; %d reads, none stale\n%s%s",
		w.told.count.Load(), w.told.reads.Load(), summary(made, spent), quantiles(w.gaps))
}

// summary says how many faults of each kind there were.
func summary(made map[string]int, spent map[string]time.Duration) (text string) {
	for _, name := range slices.Sorted(maps.Keys(made)) {
		text += fmt.Sprintf("%4d  %-38s %v each\n", made[name], name, (spent[name] / time.Duration(made[name])).Round(10*time.Millisecond))
	}
	return text
}

func quantiles(gaps []time.Duration) string {
	if len(gaps) == 0 {
		return "no leader was killed"
	}
	slices.Sort(gaps)
	at := func(p float64) time.Duration { return gaps[int(p*float64(len(gaps)-1))].Round(time.Millisecond) }
	return fmt.Sprintf("after the kill of a leader all clients were served again after %v (median), %v (p99), %v (worst of %d)",
		at(0.5), at(0.99), at(1), len(gaps))
}
