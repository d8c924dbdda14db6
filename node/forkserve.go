package node

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// PathForks lists the forks that the node has, as a list of ForkInfo. PathFork makes
// one of a ForkOrder that is posted, evaluates it to its end and answers with a line of
// JSON now and then, a ForkLine, the last of which is done or has an error.
const (
	PathForks = "/wallaby/forks"
	PathFork  = "/wallaby/fork"
)

// ForkLine is a line of the answer.
type ForkLine struct {
	Fork ForkInfo `json:"fork"`
	// Results is how many there are so far, of ticks of crons among them, and Differ
	// how many of them are others than the process's own; those of places that were
	// changed are not compared.
	Results uint64          `json:"results"`
	Differ  uint64          `json:"differ"`
	First   *ForkDifference `json:"first,omitempty"` // the first that differs
	Root    ao.ID           `json:"root"`            // of the state at the end
	Done    bool            `json:"done"`
	Error   string          `json:"error,omitempty"`
}

// ForkDifference is a place at which a fork came to another result.
type ForkDifference struct {
	Nonce   uint64 `json:"nonce"`
	Tick    uint64 `json:"tick,omitempty"` // of crons behind the nonce
	Message ao.ID  `json:"message"`        // zero for a tick
	Process string `json:"process"`        // the process's own result, "" for none
	Fork    string `json:"fork"`
}

const (
	// forkOrderBytesMax bounds an order: a module and some messages, in base64.
	forkOrderBytesMax = 64 << 20
	forkProgress      = 250 * time.Millisecond
)

// local refuses callers on other machines what takes a core for long.
func local(r *http.Request, what string) error {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return ao.Errorf(ao.CodeUnauthorized, "%s takes a core for long: ask for it on the node's own machine", what)
	}
	return nil
}

// lines answers with lines of JSON.
type lines struct {
	w       http.ResponseWriter
	started bool
}

func (l *lines) tell(line any) error {
	if !l.started {
		l.started = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	if err := json.NewEncoder(l.w).Encode(line); err != nil {
		return err
	}
	return http.NewResponseController(l.w).Flush()
}

// serveFork makes one fork at a time.
func (n *Node) serveFork(w http.ResponseWriter, r *http.Request) {
	order, err := readForkOrder(r)
	if err == nil {
		err = local(r, "a fork")
	}
	if err == nil && !n.replaying.TryLock() {
		err = ao.Errorf(ao.CodeRateLimited, "a replay or another fork is running: try again when it is done")
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	defer n.replaying.Unlock()
	f, done, err := n.fork(r.Context(), order)
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	defer done()
	answer := lines{w: w}
	line, err := n.runFork(r.Context(), f, answer.tell)
	if err != nil && !answer.started {
		aohttp.WriteError(w, r, err)
		return
	}
	if err != nil {
		line.Error = err.Error()
	}
	_ = answer.tell(line)
}

func readForkOrder(r *http.Request) (order ForkOrder, err error) {
	if r.Method != http.MethodPost {
		return order, ao.Errorf(ao.CodeInvalid, "post an order for a fork")
	}
	// A page in a browser cannot say this without asking first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return order, ao.Errorf(ao.CodeInvalid, "post the order as application/json")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, forkOrderBytesMax+1))
	if err != nil {
		return order, ao.Errorf(ao.CodeInvalid, "read the order: %w", err)
	}
	if len(body) > forkOrderBytesMax {
		return order, ao.Errorf(ao.CodeTooLarge, "an order for a fork has at most %d bytes", forkOrderBytesMax)
	}
	if err := json.Unmarshal(body, &order); err != nil {
		return order, ao.Errorf(ao.CodeInvalid, "the body is no order for a fork: %w", err)
	}
	return order, nil
}

// runFork evaluates a fork to its end and compares its results with the process's.
func (n *Node) runFork(ctx context.Context, f *fork, tell func(any) error) (line ForkLine, err error) {
	line.Fork = f.ForkInfo
	told := n.options.Now()
	for nonce := uint64(0); nonce <= f.Nonce; nonce++ {
		if _, err := f.engine.ResultAt(ctx, f.Process, nonce); err != nil {
			return line, err
		}
		for tick := uint64(0); ; tick++ {
			more, err := n.compareFork(f, nonce, tick, &line)
			if err != nil {
				return line, err
			}
			if !more {
				break
			}
		}
		if now := n.options.Now(); now.Sub(told) > forkProgress {
			told = now
			if err := tell(line); err != nil {
				return line, err
			}
		}
	}
	root, err := f.engine.Root(ctx, f.Process)
	line.Root, line.Done = root.Root, err == nil
	return line, err
}

// compareFork compares one result, if the fork has it.
func (n *Node) compareFork(f *fork, nonce, tick uint64, line *ForkLine) (there bool, err error) {
	got, _, there, err := f.engine.StoredTick(f.Process, nonce, tick)
	if err != nil || !there {
		return false, err
	}
	line.Results++
	if tick == 0 && f.changed(nonce) {
		return true, nil
	}
	own, _, known, err := n.engine.StoredTick(f.Process, nonce, tick)
	if err != nil {
		return true, err
	}
	difference := ForkDifference{Nonce: nonce, Tick: tick, Message: got.Message, Fork: string(got.Result.JSON())}
	if known {
		difference.Process = string(own.Result.JSON())
	}
	if difference.Process != difference.Fork {
		if line.Differ++; line.First == nil {
			line.First = &difference
		}
	}
	return true, nil
}

// changed reports whether a place has another message, or none.
func (f *fork) changed(nonce uint64) bool {
	_, replaced := f.log.replaced[nonce]
	for _, dropped := range f.Dropped {
		replaced = replaced || dropped == nonce
	}
	return replaced
}

// forked answers for forks by their ids, and for processes by theirs.
type forked struct{ node *Node }

var _ aohttp.Evaluator = forked{}

// of gives the engine that has a process, and what it calls it.
func (v forked) of(id ao.ID) (e *engine.Engine, process ao.ID, done func()) {
	if f, done := v.node.forks.use(id); f != nil {
		return f.engine, f.Process, done
	}
	return v.node.engine, id, func() {}
}

// Result gives the evaluation of an id; see engine.Engine.
func (v forked) Result(ctx context.Context, process, id ao.ID) (engine.Evaluation, error) {
	e, own, done := v.of(process)
	defer done()
	if id == process {
		id = own
	}
	return e.Result(ctx, own, id)
}

// Results gives a page of results; see engine.Engine.
func (v forked) Results(ctx context.Context, process ao.ID, query engine.ResultsQuery) (engine.ResultsPage, error) {
	e, own, done := v.of(process)
	defer done()
	return e.Results(ctx, own, query)
}

// Changed tells of more evaluations; see engine.Engine.
func (v forked) Changed(process ao.ID) <-chan struct{} {
	e, own, done := v.of(process)
	defer done()
	return e.Changed(own)
}

// Digest gives the digest of a stretch of results; see engine.Engine.
func (v forked) Digest(ctx context.Context, process ao.ID, from, to uint64) (engine.ResultsDigest, error) {
	e, own, done := v.of(process)
	defer done()
	digest, err := e.Digest(ctx, own, from, to)
	digest.Process = process
	return digest, err
}

// DryRun tries a message; see engine.Engine.
func (v forked) DryRun(ctx context.Context, process ao.ID, message engine.DryRunMessage, to *ao.ID) (ao.Result, error) {
	e, own, done := v.of(process)
	defer done()
	return e.DryRun(ctx, own, addressed(message, process, own), to)
}

// addressed has a message to a fork be one to the process, whose id the fork takes for
// its own.
func addressed(message engine.DryRunMessage, to, own ao.ID) engine.DryRunMessage {
	if message.Target != nil && *message.Target == to.String() {
		target := own.String()
		message.Target = &target
	}
	return message
}

// DryRunAt tries a message on a state of the past; see engine.Engine.
func (v forked) DryRunAt(ctx context.Context, process ao.ID, message engine.DryRunMessage, nonce, tick uint64) (ao.Result, error) {
	e, own, done := v.of(process)
	defer done()
	return e.DryRunAt(ctx, own, addressed(message, process, own), nonce, tick)
}

// State gives the newest state; see engine.Engine.
func (v forked) State(ctx context.Context, process ao.ID) (*engine.State, error) {
	e, own, done := v.of(process)
	defer done()
	return e.State(ctx, own)
}

// StateAt gives a state of the past; see engine.Engine.
func (v forked) StateAt(ctx context.Context, process ao.ID, nonce, tick uint64) (*engine.State, error) {
	e, own, done := v.of(process)
	defer done()
	return e.StateAt(ctx, own, nonce, tick)
}

// Root gives the newest state's root; see engine.Engine.
func (v forked) Root(ctx context.Context, process ao.ID) (ao.StateRoot, error) {
	e, own, done := v.of(process)
	defer done()
	root, err := e.Root(ctx, own)
	root.Process = process
	return root, err
}

// RootAt gives the root of a state of the past; see engine.Engine.
func (v forked) RootAt(ctx context.Context, process ao.ID, nonce, tick uint64) (ao.StateRoot, error) {
	e, own, done := v.of(process)
	defer done()
	root, err := e.RootAt(ctx, own, nonce, tick)
	root.Process = process
	return root, err
}

// forkedLog also finds the messages of forks.
type forkedLog struct {
	aolog.Log
	forks *forks
}

// Find gives the place of an id; see log.Log.
func (l forkedLog) Find(ctx context.Context, process, id ao.ID) (uint64, error) {
	f, done := l.forks.use(process)
	defer done()
	if f == nil {
		return l.Log.Find(ctx, process, id)
	}
	if id == process {
		id = f.Process
	}
	return f.log.Find(ctx, f.Process, id)
}
