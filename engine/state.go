package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// State is a copy of a process's state. It must be closed.
type State struct {
	Process     ao.ID
	Nonce       uint64
	Tick        uint64 // of crons behind the nonce
	TimestampMS int64
	BlockHeight uint64

	machine vm.Process
}

// State gives a process's newest state.
func (e *Engine) State(ctx context.Context, process ao.ID) (*State, error) {
	copied, err := e.fork(ctx, process)
	if err != nil {
		return nil, err
	}
	return stateOf(process, copied.last, copied.machine), nil
}

// StateAt gives a process's state behind a nonce, or behind a tick of crons there.
func (e *Engine) StateAt(ctx context.Context, process ao.ID, nonce, tick uint64) (state *State, err error) {
	err = e.copyPast(ctx, process, place{nonce, tick}, func(_ context.Context, copied *fork) error {
		state = stateOf(process, copied.last, copied.machine)
		return nil
	})
	if err != nil && state != nil {
		return nil, errors.Join(err, state.Close())
	}
	return state, err
}

func stateOf(process ao.ID, last applied, machine vm.Process) *State {
	return &State{
		Process: process, Nonce: last.nonce, Tick: last.tick,
		TimestampMS: last.timestampMS, BlockHeight: last.blockHeight, machine: machine,
	}
}

// Root gives the state's root.
func (s *State) Root() (ao.ID, error) { return rootNow(s.machine) }

// Snapshot writes the whole state.
func (s *State) Snapshot(w vm.SnapshotWriter) error { return s.machine.Snapshot(w) }

// WriteTo writes the raw memory.
func (s *State) WriteTo(w io.Writer) (int64, error) {
	raw := &memoryWriter{out: w}
	err := s.machine.Snapshot(raw)
	if err == nil {
		err = raw.zeros(raw.size)
	}
	if err != nil {
		return int64(raw.written), fmt.Errorf("write memory of process %s: %w", s.Process, err)
	}
	return int64(raw.written), nil
}

// Close frees the copy.
func (s *State) Close() error { return s.machine.Close() }

// memoryWriter is a vm.SnapshotWriter that turns pages into a stream.
type memoryWriter struct {
	out     io.Writer
	size    uint64
	written uint64
}

// Section drops what is not memory.
func (*memoryWriter) Section(string, []byte) error { return nil }

// Memory notes where the stream ends.
func (m *memoryWriter) Memory(sizeBytes uint64) error {
	m.size = sizeBytes
	return nil
}

// Page writes the zeros before a page, and the page.
func (m *memoryWriter) Page(index uint32, data []byte) error {
	start := uint64(index) * vm.PageBytes
	if err := m.zeros(start); err != nil {
		return err
	}
	data = data[:min(uint64(len(data)), m.size-min(m.size, start))]
	n, err := m.out.Write(data)
	m.written += uint64(n)
	return err
}

// zeros fills up to a place in the stream.
func (m *memoryWriter) zeros(until uint64) error {
	var blank [4096]byte
	for m.written < until {
		n, err := m.out.Write(blank[:min(uint64(len(blank)), until-m.written)])
		m.written += uint64(n)
		if err != nil {
			return err
		}
	}
	return nil
}
