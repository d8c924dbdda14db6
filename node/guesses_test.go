package node

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestGuessesAreLimited(t *testing.T) {
	c := newClock(time.Now())
	dir := createCluster(t)
	h := startHandOut(t, dir, c.now, nil)
	token := createToken(t, Tokens{dir, c.now}, "n2")
	for i := range guessesMax {
		guess := token
		guess.Secret[i]++
		if _, err := h.join(guess, filepath.Join(t.TempDir(), "n2")); err == nil || !strings.Contains(err.Error(), ErrUnknownToken.Error()) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if _, err := h.join(token, filepath.Join(t.TempDir(), "n2")); err == nil || !strings.Contains(err.Error(), "wait a minute") {
		t.Errorf("after %d guesses: %v", guessesMax, err)
	}
	c.forward(guessWindow)
	if _, err := h.join(token, filepath.Join(t.TempDir(), "n2")); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestGuessesAreCountedByPlaceWithinBounds(t *testing.T) {
	var g guesses
	now := time.Now()
	for i := range 2 * guessPlacesMax {
		g.add(fmt.Sprint(i), now)
	}
	if len(g.counts) != guessPlacesMax {
		t.Errorf("%d places are counted", len(g.counts))
	}
	for address, want := range map[string]string{
		"10.0.0.1:99": "10.0.0.1", "[::ffff:10.0.0.1]:99": "10.0.0.1",
		"[2001:db8:1:2:3:4:5:6]:99": "2001:db8:1:2::/64", "[fe80::1%eth0]:99": "fe80::/64",
	} {
		if got := hostOf(stringAddr(address)); got != want {
			t.Errorf("%s counts as %s, want %s", address, got, want)
		}
	}
}

type stringAddr string

func (stringAddr) Network() string  { return "tcp" }
func (s stringAddr) String() string { return string(s) }
