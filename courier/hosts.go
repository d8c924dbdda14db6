package courier

import (
	"context"
	"sync"
)

// hosts lets only so many requests to one host run at once, so that one that does
// not answer takes few connections and no time from others.
type hosts struct {
	runningMax, waitingMax int

	mu sync.Mutex
	of map[string]*host
}

type host struct {
	running chan struct{}
	inside  int // running and waiting
}

// enter waits for a turn. The function it gives ends it.
func (h *hosts) enter(ctx context.Context, name string) (leave func(), err error) {
	h.mu.Lock()
	if h.of == nil {
		h.of = map[string]*host{}
	}
	own := h.of[name]
	if own == nil {
		own = &host{running: make(chan struct{}, h.runningMax)}
		h.of[name] = own
	}
	if own.inside >= h.runningMax+h.waitingMax {
		h.mu.Unlock()
		return nil, Laterf(0, "there is more to be sent to %s than can wait", name)
	}
	own.inside++
	h.mu.Unlock()
	forget := func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if own.inside--; own.inside == 0 {
			delete(h.of, name)
		}
	}
	select {
	case own.running <- struct{}{}:
		return func() { <-own.running; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
