package raft

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/log"
)

// roster remembers which life of each node this one has met. A data directory is
// a life: a node that lost its disk and starts with an empty one has forgotten
// what it promised, and a vote of it could lose what a majority has
// acknowledged. So nobody takes part before it has met everybody, and from then
// on nobody speaks to another life of a voter; repair takes the node out of the
// groups first.
type roster struct {
	filesystem fsx.FS
	dir        string
	isVoter    func(node string) bool
	formed     func() bool
	mode       string // of processes that do not choose

	mu struct {
		sync.Mutex
		slots *slotFile
		lives lives
		// formed says that somebody met was part of the groups already.
		formed bool
		met    chan struct{} // closed and replaced when somebody was met
	}
}

type lives struct {
	Self string `json:"self"`
	// Met is which life of each node this one speaks to.
	Met map[string]string `json:"met"`
	// Welcome are the nodes that speak to this life.
	Welcome map[string]bool `json:"welcome"`
}

const rosterFileName = "roster"

// openRoster reads the roster, or begins a new life. A node that has entries
// must have one.
func openRoster(filesystem fsx.FS, dir string, hasEntries bool, random io.Reader, warn func(string)) (*roster, error) {
	r := &roster{filesystem: filesystem, dir: dir}
	r.mu.met = make(chan struct{})
	path := filepath.Join(dir, rosterFileName)
	slots, value, mended, err := openSlots(filesystem, path)
	switch {
	case err == nil:
		if mended {
			warn(fmt.Sprintf("one of the two copies in %s was damaged or behind: mended from the other", path))
		}
		r.mu.slots = slots
		if err := json.Unmarshal(value, &r.mu.lives); err != nil {
			return r, fmt.Errorf("%w: %s: %w", log.ErrCorrupt, path, err)
		}
		return r, nil
	case hasEntries && isNotExist(err):
		return r, fmt.Errorf("%w: %s is gone, and without it this node might speak for another's lost log: put it back from a copy", log.ErrCorrupt, path)
	case !isNotExist(err) && (hasEntries || !errors.Is(err, log.ErrCorrupt)):
		return r, fmt.Errorf("roster: %w: put it back from a copy", err)
	}
	var life [16]byte
	if _, err := io.ReadFull(random, life[:]); err != nil {
		return r, fmt.Errorf("read randomness: %w", err)
	}
	r.mu.lives = lives{Self: hex.EncodeToString(life[:]), Met: map[string]string{}, Welcome: map[string]bool{}}
	value, err = json.Marshal(r.mu.lives)
	if err == nil {
		r.mu.slots, err = createSlots(filesystem, dir, path, value)
	}
	return r, err
}

// greeting is what a node says of itself when it meets another.
type greeting struct {
	Node   string `json:"node"`
	Life   string `json:"life"`
	Formed bool   `json:"formed"`
	// Mode orders processes that do not choose: nodes that disagree could order
	// one twice.
	Mode string `json:"mode"`
}

func (r *roster) greeting(self string) greeting {
	r.mu.Lock()
	defer r.mu.Unlock()
	return greeting{self, r.mu.lives.Self, r.formed(), r.mode}
}

// meet decides whether to speak to a node, and remembers it for ever first.
func (r *roster) meet(g greeting) error {
	voter := r.isVoter(g.Node)
	r.mu.Lock()
	defer r.mu.Unlock()
	if g.Mode != r.mode {
		return fmt.Errorf("node %s orders processes by %s unless they choose, and this node by %s: write the same sequencing into all nodes' files", g.Node, g.Mode, r.mode)
	}
	known := r.mu.lives.Met[g.Node]
	r.mu.formed = r.mu.formed || g.Formed
	if known == g.Life {
		return nil
	}
	if known != "" && voter {
		return fmt.Errorf("node %s comes with another data directory than before, although it has a vote: if its data is lost, run wallaby cluster repair %s", g.Node, g.Node)
	}
	r.mu.lives.Met[g.Node] = g.Life
	if err := r.write(); err != nil {
		r.mu.lives.Met[g.Node] = known
		return fmt.Errorf("remember node %s: %w", g.Node, err)
	}
	return nil
}

// forget lets the next life of a node in, whose last one is lost.
func (r *roster) forget(node string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.mu.lives.Met[node]
	delete(r.mu.lives.Met, node)
	if err := r.write(); err != nil {
		r.mu.lives.Met[node] = known
		return fmt.Errorf("forget node %s: %w", node, err)
	}
	return nil
}

// welcomed notes for ever that a node speaks to this life.
func (r *roster) welcomed(node string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.lives.Welcome[node] {
		r.mu.lives.Welcome[node] = true
		if err := r.write(); err != nil {
			delete(r.mu.lives.Welcome, node)
			return fmt.Errorf("remember node %s: %w", node, err)
		}
	}
	close(r.mu.met)
	r.mu.met = make(chan struct{})
	return nil
}

func (r *roster) write() error {
	value, err := json.Marshal(r.mu.lives)
	if err != nil {
		return err
	}
	return r.mu.slots.write(value)
}

// missing lists those of the nodes that never welcomed this one, and a channel that is
// closed when that may have changed.
func (r *roster) missing(self string, nodes []string) (list []string, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, node := range nodes {
		if node != self && !r.mu.lives.Welcome[node] {
			list = append(list, node)
		}
	}
	return list, r.mu.met
}

// othersFormed reports whether a node that was met belongs to groups already.
func (r *roster) othersFormed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.formed
}

func (r *roster) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.slots == nil {
		return nil
	}
	return r.mu.slots.close()
}
