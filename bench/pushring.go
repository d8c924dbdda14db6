package bench

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/measure"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/vm"
)

// ringLua has a process pass tokens on. A token says who it is, how many hops it
// has made, and until when it goes round; it is dropped then, or when it comes
// back to where it began.
const ringLua = `
Handlers.add("hop", { Action = "Hop" }, function(msg)
  local token, hops, untilMS = msg.Data:match("^hop (%%S+) (%%d+) (%%d+)$")
  hops = tonumber(hops) + 1
  if hops > %d or tonumber(msg.Timestamp) >= tonumber(untilMS) then return end
  ao.send({ Target = "%s", Action = "Hop", Data = "hop " .. token .. " " .. hops .. " " .. untilMS })
end)
return "%s"`

// ringLoaded is what a process answers that has its place in the ring.
const ringLoaded = "stands in the ring"

// hopStart begins the data of a token.
const hopStart = "hop "

// ring is aos processes of which each sends what it gets to the next.
type ring struct {
	node      *node.Node // that the client speaks to
	user      *user
	processes []ao.ID
	watch     *hopWatch
	tokens    int // ever sent
}

// makeRing spawns the processes at a node and shows each its neighbour.
func makeRing(ctx context.Context, n *node.Node, count int, watch *hopWatch) (*ring, error) {
	u, err := newUser(n)
	if err != nil {
		return nil, err
	}
	r := &ring{node: n, user: u, processes: make([]ao.ID, count), watch: watch}
	const clients = 16
	err = eachOf(ctx, clients, count, func(ctx context.Context, i int) (err error) {
		r.processes[i], err = u.spawn(ctx, n, fmt.Sprint("ring ", i))
		return err
	})
	if err != nil {
		return nil, err
	}
	err = eachOf(ctx, clients, count, func(ctx context.Context, i int) error {
		draft := evalDraft(r.processes[i], 0)
		draft.Data = fmt.Appendf(nil, ringLua, count, r.processes[(i+1)%count], ringLoaded)
		id, err := u.client.Send(ctx, draft, u.signer)
		if err != nil {
			return err
		}
		result, err := u.client.Result(ctx, r.processes[i], id)
		if err == nil && !strings.Contains(string(result.JSON()), ringLoaded) {
			err = fmt.Errorf("loading the ring's program gave %.300s", result.JSON())
		}
		return err
	})
	return r, err
}

// pushed is hops, and the processor time that was used up meanwhile.
type pushed struct {
	Times
	cpu time.Duration
}

// pushRate is how fast a ring was, and what a hop took of the processors.
type pushRate struct {
	Rate
	cpuMicros float64
}

func (p pushed) rate() (pushRate, error) {
	rate, err := p.Times.rate()
	return pushRate{rate, float64(p.cpu.Microseconds()) / float64(max(1, len(p.Calls)))}, err
}

func (r *ring) rate(ctx context.Context, tokens int, seconds float64) (pushRate, error) {
	hops, err := r.run(ctx, tokens, seconds)
	if err != nil {
		return pushRate{}, err
	}
	return hops.rate()
}

// run has so many tokens going round at once, and gives the hops from a process to
// the next. A token that has gone round is replaced by a new one: what the client
// does for that is no hop.
func (r *ring) run(ctx context.Context, tokens int, seconds float64) (pushed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	warmUp, window := time.Duration(seconds/5*float64(time.Second)), time.Duration(seconds*float64(time.Second))
	until := time.Now().Add(warmUp + window)
	var wait sync.WaitGroup
	for i := range tokens {
		first := r.tokens + i
		start := r.processes[i*len(r.processes)/tokens]
		wait.Go(func() {
			for round := 0; ctx.Err() == nil && time.Now().Before(until); round++ {
				token := fmt.Sprintf("%d.%d", first, round)
				done := r.watch.expect(token, len(r.processes))
				if err := r.serve(ctx, start, token, until); err != nil {
					cancel(err)
					return
				}
				select {
				case <-done:
				case <-ctx.Done():
				}
			}
		})
	}
	r.tokens += tokens
	hops := r.watch.count(ctx, warmUp, window)
	wait.Wait()
	return hops, context.Cause(ctx)
}

// serve posts a token to a process.
func (r *ring) serve(ctx context.Context, process ao.ID, token string, until time.Time) error {
	data := fmt.Appendf(nil, "%s%s 0 %d", hopStart, token, until.UnixMilli())
	_, err := r.user.client.Send(ctx, dataitem.Draft{Target: process[:], Data: data, Tags: dataitem.Tags{
		{Name: "Action", Value: "Hop"},
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagVariant, Value: ao.Variant}, {Name: ao.TagType, Value: ao.TypeMessage},
	}}, r.user.signer)
	return err
}

// hopWatch stands before the virtual machine and sees tokens come to processes.
type hopWatch struct {
	mu       sync.Mutex
	tokens   map[string]*tokenSeen
	counting bool
	took     []time.Duration
}

// tokenSeen is where a token was seen last.
type tokenSeen struct {
	hops, last int
	at         time.Time
	done       chan struct{} // closed when it has made its last hop
}

func newHopWatch() *hopWatch { return &hopWatch{tokens: map[string]*tokenSeen{}} }

// expect gives a channel that is closed when a token has made so many hops.
func (w *hopWatch) expect(token string, last int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := &tokenSeen{hops: -1, last: last, done: make(chan struct{})}
	w.tokens[token] = seen
	return seen.done
}

// count takes the time of hops for a while after a warm-up, and gives what the
// processors did meanwhile.
func (w *hopWatch) count(ctx context.Context, warmUp, window time.Duration) pushed {
	pause(ctx, warmUp)
	start, before := time.Now(), measure.CPU()
	w.set(true)
	pause(ctx, window)
	took := w.set(false)
	return pushed{Times{took, time.Since(start)}, measure.CPU() - before}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// set starts or stops counting, and gives the hops that were counted before.
func (w *hopWatch) set(counting bool) []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	took := w.took
	w.counting, w.took = counting, nil
	return took
}

// see notes a message that a guest is about to get. Of several nodes, the first
// that evaluates it counts.
func (w *hopWatch) see(message []byte) {
	h, ok := hopIn(message)
	if !ok {
		return
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.tokens[h.token]
	if seen == nil || h.number <= seen.hops {
		return
	}
	if w.counting && h.number > 0 {
		w.took = append(w.took, now.Sub(seen.at))
	}
	seen.hops, seen.at = h.number, now
	if h.number == seen.last || h.over {
		close(seen.done)
		delete(w.tokens, h.token)
	}
}

// hop is a token as it comes to a process.
type hop struct {
	token  string
	number int
	over   bool // its time is up
}

// hopIn finds a token in a message as a guest gets it.
func hopIn(message []byte) (h hop, ok bool) {
	const key, timestamp = `"Data":"` + hopStart, `"Timestamp":`
	at := bytes.Index(message, []byte(key))
	if at < 0 {
		return h, false
	}
	text, rest, _ := bytes.Cut(message[at+len(key):], []byte(`"`))
	fields := strings.Fields(string(text))
	at = bytes.LastIndex(rest, []byte(timestamp))
	if len(fields) != 3 || at < 0 {
		return h, false
	}
	digits := rest[at+len(timestamp):]
	digits = digits[:len(digits)-len(bytes.TrimLeft(digits, "0123456789"))]
	var err error
	if h.number, err = strconv.Atoi(fields[1]); err != nil {
		return h, false
	}
	// Numbers of the same length compare as texts.
	h.token, h.over = fields[0], string(digits) >= fields[2]
	return h, true
}

// wrap has the watch see what is handed to the processes of a driver.
func (w *hopWatch) wrap(driver vm.Driver) vm.Driver { return watchedDriver{driver, w} }

type watchedDriver struct {
	vm.Driver
	watch *hopWatch
}

// Load loads a module whose processes are watched.
func (d watchedDriver) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	module, err := d.Driver.Load(ctx, source)
	return watchedModule{module, d.watch}, err
}

type watchedModule struct {
	vm.Module
	watch *hopWatch
}

// New makes a process that is watched.
func (m watchedModule) New(ctx context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	process, err := m.Module.New(ctx, config, snapshot)
	return watchedProcess{process, m.watch}, err
}

type watchedProcess struct {
	vm.Process
	watch *hopWatch
}

// Handle shows the message to the watch and runs it.
func (p watchedProcess) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	p.watch.see(call.Message)
	return p.Process.Handle(ctx, call)
}
