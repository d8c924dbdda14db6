package raft

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// wire is one connection to a node: frames go out through one writer and come
// in through one reader, which never waits for a disk.
type wire struct {
	transport *Transport
	node      string
	conn      net.Conn
	in        *bufio.Reader
	ctx       context.Context
	cancel    context.CancelCauseFunc
	wait      sync.WaitGroup
	handlers  chan struct{} // a token for each handler at work

	mu struct {
		sync.Mutex
		filled *sync.Cond // there is something to write, or the wire is done
		room   *sync.Cond // there is room to write, or the wire is done
		out    []byte
		calls  map[uint64]chan<- frame
		next   uint64
		failed error
	}
}

const (
	// outBytesMax is how much may wait to be written before senders wait, too.
	outBytesMax  = 32 << 20
	handlersMax  = 1024
	writeTimeout = 10 * time.Second
)

func newWire(t *Transport, conn net.Conn) *wire {
	w := &wire{
		transport: t, conn: conn, in: bufio.NewReaderSize(conn, 64<<10),
		handlers: make(chan struct{}, handlersMax),
	}
	w.ctx, w.cancel = context.WithCancelCause(context.Background())
	w.mu.filled, w.mu.room = sync.NewCond(&w.mu), sync.NewCond(&w.mu)
	w.mu.calls = map[uint64]chan<- frame{}
	return w
}

// serve reads, writes and pings until the connection breaks.
func (w *wire) serve() error {
	w.wait.Go(w.write)
	w.wait.Go(w.ping)
	err := w.read()
	w.fail(err)
	w.wait.Wait()
	return err
}

// fail ends the wire: calls in hand get the error.
func (w *wire) fail(err error) {
	w.mu.Lock()
	if w.mu.failed == nil {
		w.mu.failed = fmt.Errorf("connection to node %s: %w", w.node, err)
	}
	calls := w.mu.calls
	w.mu.calls = map[uint64]chan<- frame{}
	w.mu.Unlock()
	w.mu.filled.Broadcast()
	w.mu.room.Broadcast()
	w.cancel(err)
	w.conn.Close()
	for _, answer := range calls {
		close(answer)
	}
}

func (w *wire) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.failed
}

func (w *wire) read() error {
	for {
		if err := w.conn.SetReadDeadline(time.Now().Add(silenceMax)); err != nil {
			return err
		}
		f, err := readFrame(w.in)
		if err != nil {
			return err
		}
		switch {
		case f.flags&flagAnswer != 0:
			w.deliver(f)
		case f.kind == kindPing:
		case f.kind < callAppend:
			w.transport.receive(w, f)
		default:
			w.handle(f)
		}
	}
}

// deliver hands an answer to its caller, who may have given up.
func (w *wire) deliver(f frame) {
	w.mu.Lock()
	answer := w.mu.calls[f.call]
	delete(w.mu.calls, f.call)
	w.mu.Unlock()
	if answer != nil {
		answer <- f
	}
}

// handle answers a call beside the reader.
func (w *wire) handle(f frame) {
	select {
	case w.handlers <- struct{}{}:
	default:
		w.respond(f, nil, moved("too many calls at once"))
		return
	}
	w.wait.Go(func() {
		defer func() { <-w.handlers }()
		body, err := w.transport.answer(w.ctx, w.node, f)
		w.respond(f, body, err)
	})
}

// respond answers a call. A wire that has failed has nobody to tell.
func (w *wire) respond(f frame, body []byte, err error) {
	answer := frame{kind: f.kind, flags: flagAnswer, group: f.group, call: f.call, body: body}
	if err != nil {
		answer.flags |= flagError
		answer.body, _ = json.Marshal(bodyOf(err)) // strings and a bool
	}
	_ = w.send(answer)
}

// call sends a frame and waits for its answer.
func (w *wire) call(ctx context.Context, f frame) ([]byte, error) {
	answer, number, err := w.begin(f)
	if err != nil {
		return nil, err
	}
	select {
	case f, ok := <-answer:
		return w.result(f, ok)
	case <-ctx.Done():
		w.forget(number)
		return nil, ctx.Err()
	}
}

// begin sends a call whose answer comes through the channel, which is closed if
// the wire breaks.
func (w *wire) begin(f frame) (<-chan frame, uint64, error) {
	answer := make(chan frame, 1)
	w.mu.Lock()
	if err := w.mu.failed; err != nil {
		w.mu.Unlock()
		return nil, 0, moved("%w", err)
	}
	w.mu.next++
	f.call = w.mu.next
	w.mu.calls[f.call] = answer
	w.mu.Unlock()
	if err := w.send(f); err != nil {
		w.forget(f.call)
		return nil, 0, moved("%w", err)
	}
	return answer, f.call, nil
}

func (w *wire) result(f frame, ok bool) ([]byte, error) {
	if !ok {
		return nil, moved("%w", w.failed())
	}
	if f.flags&flagError == 0 {
		return f.body, nil
	}
	var body errorBody
	if err := json.Unmarshal(f.body, &body); err != nil {
		return nil, fmt.Errorf("an error of node %s cannot be read: %w", w.node, err)
	}
	return nil, body.err()
}

func (w *wire) forget(call uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.mu.calls, call)
}

// send queues a frame for the writer.
func (w *wire) send(f frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.mu.out) > outBytesMax && w.mu.failed == nil {
		w.mu.room.Wait()
	}
	if w.mu.failed != nil {
		return w.mu.failed
	}
	w.mu.out = appendFrame(w.mu.out, f)
	w.mu.filled.Signal()
	return nil
}

// write takes all that waits at once: many frames cost one system call.
func (w *wire) write() {
	var spare []byte
	for {
		w.mu.Lock()
		for len(w.mu.out) == 0 && w.mu.failed == nil {
			w.mu.filled.Wait()
		}
		if w.mu.failed != nil {
			w.mu.Unlock()
			return
		}
		out := w.mu.out
		w.mu.out = spare[:0]
		w.mu.Unlock()
		w.mu.room.Broadcast()
		err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = w.conn.Write(out)
		}
		if err != nil {
			w.fail(err)
			return
		}
		if spare = out; cap(spare) > 1<<20 {
			spare = nil
		}
	}
}

// ping keeps the other end from taking this one for gone.
func (w *wire) ping() {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if w.send(frame{kind: kindPing}) != nil {
				return
			}
		case <-w.ctx.Done():
			return
		}
	}
}

var errTimeout = errors.New("no answer in time")
