package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
)

// MachineChoice says which virtual machine this node runs a process on.
type MachineChoice struct {
	Process ao.ID  `json:"process"`
	VM      string `json:"vm"` // gives the results
	// Candidate runs every message, too, until it has agreed on Shadow of them.
	Candidate string `json:"candidate,omitempty"`
	Shadow    uint64 `json:"shadow,omitempty"`
	Agreed    uint64 `json:"agreed,omitempty"`
	// Refused says why the last candidate was not taken.
	Refused string `json:"refused,omitempty"`
	// Failure is the message that the process waits before, if it cost its machine
	// twice.
	Failure *MachineFailure `json:"failure,omitempty"`
}

// ShadowMax bounds the messages on which a candidate has to agree.
const ShadowMax = 1_000_000

// choice is what the store keeps of a process's MachineChoice.
type choice struct {
	VM        string `json:"vm,omitempty"` // "": what the process asks for, or the node's rules
	Candidate string `json:"candidate,omitempty"`
	Shadow    uint64 `json:"shadow,omitempty"`
	Refused   string `json:"refused,omitempty"`
}

// choices holds the choices of all processes for which one was made; they are
// few. It is safe for concurrent use.
type choices struct {
	store *store

	mu     sync.Mutex
	made   map[ao.ID]choice
	agreed map[ao.ID]uint64 // messages; a node that starts again counts from 0
}

func openChoices(s *store) (*choices, error) {
	c := &choices{store: s, made: map[ao.ID]choice{}, agreed: map[ao.ID]uint64{}}
	err := s.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(keyChoice)})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			var made choice
			if err := iterator.Item().Value(func(value []byte) error { return json.Unmarshal(value, &made) }); err != nil {
				return err
			}
			c.made[ao.ID(iterator.Item().Key()[len(keyChoice):])] = made
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read choices of virtual machines: %w", err)
	}
	return c, nil
}

// of gives a process's choice; its zero value if none was made.
func (c *choices) of(process ao.ID) choice {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[process]
}

// set stores a choice; its candidate has yet to agree.
func (c *choices) set(process ao.ID, made choice) error {
	value, err := json.Marshal(made)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.store.db.Update(func(txn *badger.Txn) error { return txn.Set(idKey(keyChoice, process), value) }); err != nil {
		return fmt.Errorf("store the choice of a virtual machine for process %s: %w", process, err)
	}
	c.made[process] = made
	delete(c.agreed, process)
	return nil
}

// agree counts a message on which a candidate agrees.
func (c *choices) agree(process ao.ID) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agreed[process]++
	return c.agreed[process]
}

// Machine says which virtual machine a process runs on.
func (e *Engine) Machine(ctx context.Context, process ao.ID) (MachineChoice, error) {
	if _, err := e.head(ctx, process); err != nil {
		return MachineChoice{}, err
	}
	serving, err := e.define(ctx, process)
	if err != nil {
		return MachineChoice{}, err
	}
	next, err := e.store.next(process)
	if err != nil {
		return MachineChoice{}, fmt.Errorf("read progress of process %s: %w", process, err)
	}
	e.choices.mu.Lock()
	defer e.choices.mu.Unlock()
	made := e.choices.made[process]
	return MachineChoice{
		Process: process, VM: serving.module.driver,
		Candidate: made.Candidate, Shadow: made.Shadow, Agreed: e.choices.agreed[process], Refused: made.Refused,
		Failure: e.failures.before(process, next),
	}, nil
}

// SetMachine has this node run a process on another virtual machine from its next
// message on; other nodes go on as they do. With shadow above 0 both run the next
// shadow messages, and the other takes over only if every result and every state
// is the same; if one is not, it is left, and Machine says why.
func (e *Engine) SetMachine(ctx context.Context, process ao.ID, name string, shadow uint64) (MachineChoice, error) {
	if name == "" || shadow > ShadowMax {
		return MachineChoice{}, ao.Errorf(ao.CodeInvalid, "name a virtual machine, and at most %d messages on which it has to agree", ShadowMax)
	}
	now, err := e.Machine(ctx, process)
	if err != nil {
		return MachineChoice{}, err
	}
	if _, err := e.defineOn(ctx, process, &name); err != nil {
		return MachineChoice{}, err
	}
	made := choice{VM: name}
	if shadow > 0 && name != now.VM {
		made = choice{VM: e.choices.of(process).VM, Candidate: name, Shadow: shadow}
	}
	if err := e.choices.set(process, made); err != nil {
		return MachineChoice{}, err
	}
	e.table.visit(process)
	return e.Machine(ctx, process)
}
