package plugin

import (
	"context"
	"errors"
	"sync"
	"time"
)

// inbox takes a session's frames in. The goroutine that answers reads them itself,
// since handing each request from one goroutine to another takes a quarter of what a
// short call costs. Only when an answer takes long does another one read meanwhile,
// for the node may give the message up, or be gone; it reads until the next request
// comes.
type inbox struct {
	c     *connection
	abort context.CancelFunc // of all that the session does

	mu      sync.Mutex
	timer   *time.Timer // starts the reader
	armed   bool        // the timer will fire
	since   time.Time   // when the request in hand came; zero: none is
	reading bool        // somebody reads
	readers sync.WaitGroup
	// next has the request, and answers what the node says to open, that the reader
	// has read.
	next    chan frame
	answers chan frame

	number    uint64             // of the message in hand
	cancel    context.CancelFunc // of the message in hand
	cancelled uint64             // the number of the last message that was given up
}

// readAfter is how long an answer takes before somebody looks whether it is still
// wanted.
const readAfter = 5 * time.Millisecond

var errEnded = errors.New("the connection has ended")

func newInbox(c *connection, abort context.CancelFunc) *inbox {
	return &inbox{c: c, abort: abort, next: make(chan frame, 1), answers: make(chan frame, 1)}
}

// request gives the next request.
func (i *inbox) request() (frame, error) {
	for {
		if !i.take() {
			f, ok := <-i.next
			if !ok {
				return frame{}, errEnded
			}
			return f, nil
		}
		f, err := i.c.receive()
		i.release()
		switch {
		case err != nil:
			return frame{}, err
		case f.kind == kindCancel: // of a message that is done, or is still to come
			i.giveUp(f.Number)
		case f.kind == kindOpened:
			return frame{}, errEnded // nobody asked
		default:
			return f, nil
		}
	}
}

// take makes the caller the one who reads, unless somebody else does or has read
// the next request.
func (i *inbox) take() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.reading || len(i.next) > 0 {
		return false
	}
	i.reading = true
	return true
}

func (i *inbox) release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reading = false
}

// busy says that a request is in hand, or that there is none.
func (i *inbox) busy(yes bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.since = time.Time{}
	if !yes {
		i.number, i.cancel = 0, nil
		return
	}
	i.since = time.Now()
	if !i.armed {
		i.arm(readAfter)
	}
}

// arm sets the timer, which is then left alone: to stop and set it for each request
// would wake another thread each time.
func (i *inbox) arm(wait time.Duration) {
	i.armed = true
	if i.timer == nil {
		i.timer = time.AfterFunc(wait, i.look)
		return
	}
	i.timer.Reset(wait)
}

// look is what the timer does.
func (i *inbox) look() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.armed = false
	if i.since.IsZero() {
		return
	}
	if wait := readAfter - time.Since(i.since); wait > 0 || i.reading {
		i.arm(max(wait, readAfter))
		return
	}
	i.reading = true
	i.readers.Go(i.read)
}

// read takes frames in until a request comes.
func (i *inbox) read() {
	for {
		f, err := i.c.receive()
		if err != nil {
			i.end()
			return
		}
		switch f.kind {
		case kindCancel:
			i.giveUp(f.Number)
		case kindOpened:
			select {
			case i.answers <- f:
			default: // nobody asked
				i.end()
				return
			}
		default:
			i.mu.Lock()
			i.next <- f
			i.reading = false
			i.mu.Unlock()
			return
		}
	}
}

// end says that nothing more comes, and aborts what is in hand. The reader counts as
// reading for ever.
func (i *inbox) end() {
	close(i.next)
	close(i.answers)
	i.abort()
}

// begin names the message in hand, and how to give it up, which may have been done
// already.
func (i *inbox) begin(number uint64, cancel context.CancelFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.number, i.cancel = number, cancel
	if i.cancelled == number {
		cancel()
	}
}

func (i *inbox) giveUp(number uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancelled = number
	if i.cancel != nil && i.number == number {
		i.cancel()
	}
}

// opened gives the node's answer to what the message in hand asked for. It comes
// even if the message has been given up, and must not be taken for another's.
func (i *inbox) opened() (frame, error) {
	if i.take() {
		i.readers.Go(i.read)
	}
	f, ok := <-i.answers
	if !ok {
		return frame{}, errEnded
	}
	return f, nil
}

// close waits for the reader. The connection is closed.
func (i *inbox) close() {
	i.mu.Lock()
	i.since = time.Time{}
	if i.timer != nil {
		i.timer.Stop()
	}
	i.mu.Unlock()
	i.readers.Wait()
}
