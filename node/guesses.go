package node

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// guessesMax is how many unknown tokens may come from one place in a window.
	guessesMax = 5
	// guessPlacesMax bounds how many places are counted. A token is too long to be
	// guessed at any rate; what counting spares is the noise and the work.
	guessPlacesMax = 1024
	guessWindow    = time.Minute
)

// guesses counts wrong tokens by where they come from; the zero value is ready.
type guesses struct {
	mu     sync.Mutex
	since  time.Time
	counts map[string]int
}

func (g *guesses) tooMany(place string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	return g.counts[place] >= guessesMax
}

func (g *guesses) add(place string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	if _, known := g.counts[place]; known || len(g.counts) < guessPlacesMax {
		g.counts[place]++
	}
}

// turn begins a new window when the old one is over.
func (g *guesses) turn(now time.Time) {
	if g.counts == nil || now.Sub(g.since) >= guessWindow || now.Before(g.since) {
		g.since, g.counts = now, map[string]int{}
	}
}

// hostOf names where a connection comes from. One customer has a whole /64 of
// IPv6, so that it counts as one place.
func hostOf(address net.Addr) string {
	from, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return address.String()
	}
	ip := from.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}
