package engine

import (
	"cmp"
	"fmt"
)

// place is where something stands in a process's history: a message at its nonce,
// as tick 0, and the ticks of crons behind it, numbered from 1.
type place struct{ nonce, tick uint64 }

func (p place) String() string {
	if p.tick == 0 {
		return fmt.Sprintf("nonce %d", p.nonce)
	}
	return fmt.Sprintf("tick %d behind nonce %d", p.tick, p.nonce)
}

func (p place) less(other place) bool { return p.compare(other) < 0 }

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.nonce, other.nonce), cmp.Compare(p.tick, other.tick))
}

// after is the first place that may come next.
func (p place) after() place { return place{p.nonce, p.tick + 1} }

// message is the nonce of the first message that does not stand before a place.
func (p place) message() uint64 {
	if p.tick == 0 {
		return p.nonce
	}
	return p.nonce + 1
}

// goal is up to where somebody wants a process to be evaluated: a message, and the
// ticks behind it that are due before a time.
type goal struct {
	nonce   uint64
	untilMS int64
}

// raise gives the later of two goals. The ticks behind a message come before the
// next anyway.
func (g goal) raise(other goal) goal {
	switch {
	case other.nonce > g.nonce:
		return other
	case other.nonce == g.nonce:
		g.untilMS = max(g.untilMS, other.untilMS)
	}
	return g
}

// reach is how far a process has come: everything before a place, and the ticks
// that are due before a time behind the newest message there.
type reach struct {
	next   place
	timeMS int64
}

func (r reach) covers(g goal) bool {
	switch message := r.next.message(); {
	case message <= g.nonce:
		return false
	case message > g.nonce+1:
		return true
	}
	return r.timeMS >= g.untilMS
}
