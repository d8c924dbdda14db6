package proof

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/vm"
)

// Part is which part of a history a proof needs.
type Part struct {
	// Nonce is the last.
	Nonce uint64
	// Given is the nonce of the state to begin in (0: begin with the process). The
	// process itself is always a part, and so is the entry that led to the state, since
	// the next one's hash chain goes on from it.
	Given uint64
}

// Cut writes a part of a history as a history file, to be replayed.
func Cut(out io.Writer, from io.Reader, part Part) error {
	w, err := cut(out, from, part)
	if err != nil {
		return err
	}
	return w.Close()
}

// Write writes a proof: a part of a history, and what it proves. state is the one that
// is given, nil if the proof begins with the process.
func Write(out io.Writer, from io.Reader, part Part, s Statement, state *vm.State) error {
	w, err := cut(out, from, part)
	if err != nil {
		return err
	}
	if state != nil {
		packed, err := packState(state)
		if err != nil {
			return err
		}
		s.Given = &Given{Nonce: part.Given, Root: rootOf(state), SHA256: sha256.Sum256(packed)}
		if err := w.Write(history.Record{Kind: history.KindCheckpoint, Nonce: part.Given, Payload: packed}); err != nil {
			return err
		}
	}
	if err := w.Write(s.record()); err != nil {
		return err
	}
	return w.Close()
}

func cut(out io.Writer, from io.Reader, part Part) (*history.Writer, error) {
	reader, err := history.NewReader(from)
	if err != nil {
		return nil, err
	}
	process := reader.Header().Process
	w, err := history.NewWriter(out, header(process))
	if err != nil {
		return nil, err
	}
	f := newFormer(process)
	for {
		r, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the history: %w: see wallaby verify", err)
		}
		if r.Kind != history.KindModule && !part.has(r) {
			continue
		}
		formed, keep, err := f.form(r)
		if err == nil && keep {
			err = w.Write(formed)
		}
		if err != nil {
			return nil, err
		}
	}
	if w.Next() != part.Nonce+1 {
		return nil, fmt.Errorf("the history has no nonce %d", part.Nonce)
	}
	if !w.HasModule() {
		return nil, errors.New("the history has no module: import it with --module")
	}
	return w, nil
}

// has reports whether a record belongs to a part. An opening or attestations at the
// last nonce are about what it is followed by, or make it count.
func (p Part) has(r history.Record) bool {
	switch {
	case r.Nonce > p.Nonce, r.Kind == history.KindOpening && r.Nonce == p.Nonce:
		return false
	}
	return r.Nonce == 0 && r.Kind != history.KindOpening && r.Kind != history.KindAttest || r.Nonce >= p.Given
}
