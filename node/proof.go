package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/proof"
	"github.com/wallaby-ao/wallaby/vm"
)

// ProofOptions say on what a proof is made or verified.
type ProofOptions struct {
	// Machine is the name of a virtual machine (wazero).
	Machine string
	// CacheDir keeps compiled modules; "": nothing is kept.
	CacheDir string
	// PluginDirs are searched for virtual machines.
	PluginDirs []string
	// Progress is called now and then with how many messages have been run; its error
	// ends the work. Nil: nobody hears of it.
	Progress func(messages uint64) error
	Logger   zerolog.Logger
}

// MakeProof replays a part of a history of so many bytes, and writes a proof of what
// comes of its last nonce. What it has written it reads again, as a stranger does; what
// begins in a state it replays again, too.
func MakeProof(ctx context.Context, to *os.File, from io.ReaderAt, size int64, part proof.Part, o ProofOptions) (made *proof.Proof, err error) {
	whole := func() io.Reader { return io.NewSectionReader(from, 0, size) }
	needed, err := os.CreateTemp("", "wallaby-proof-*.aolog")
	if err != nil {
		return nil, fmt.Errorf("write the history: %w", err)
	}
	defer func() { err = errors.Join(err, needed.Close(), os.Remove(needed.Name())) }()
	if err := proof.Cut(needed, whole(), proof.Part{Nonce: part.Nonce}); err != nil {
		return nil, err
	}
	file, err := openHistoryFile(needed)
	if err != nil {
		return nil, err
	}
	var state *vm.State
	replay := engine.ReplayOptions{State: func(nonce uint64) vm.SnapshotWriter {
		if part.Given == 0 || nonce != part.Given {
			return nil
		}
		state = vm.NewState()
		return state
	}}
	end, err := o.replay(ctx, file, replay)
	if err != nil {
		return nil, err
	}
	s, err := end.statement(file)
	if err != nil {
		return nil, err
	}
	if err := proof.Write(to, whole(), part, s, state); err != nil {
		return nil, err
	}
	info, err := to.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the proof: %w", err)
	}
	made, err = proof.Read(ctx, to, info.Size())
	if err == nil && made.State != nil {
		var v Verdict
		if v, err = o.verdict(ctx, made); err == nil && !v.Holds {
			err = fmt.Errorf("from the state at nonce %d the result is another", part.Given)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the history does not prove it: %w", err)
	}
	return made, nil
}

func openHistoryFile(file *os.File) (*history.File, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	return history.Open(file, info.Size())
}

// Verdict is what verifying a proof came to.
type Verdict struct {
	proof.Statement
	// Holds says that a replay came to the result and the state.
	Holds bool `json:"holds"`
	// What the proof says, and what the replay came to.
	Said json.RawMessage `json:"result"`
	Got  json.RawMessage `json:"replayed"`
	// GotRoot is the root of the state that the replay came to.
	GotRoot    ao.ID    `json:"replayedRoot"`
	Messages   uint64   `json:"messages"` // that were run
	Signatures uint64   `json:"signatures"`
	Schedulers []string `json:"schedulers"`
}

// VerifyProof finds out, with an engine of its own and without a network, whether what
// a proof of so many bytes says is so. An error says why that cannot be known.
func VerifyProof(ctx context.Context, in io.ReaderAt, size int64, o ProofOptions) (v Verdict, err error) {
	p, err := proof.Read(ctx, in, size)
	if err != nil {
		return v, err
	}
	return o.verdict(ctx, p)
}

func (o ProofOptions) verdict(ctx context.Context, p *proof.Proof) (v Verdict, err error) {
	replay := engine.ReplayOptions{}
	if p.State != nil {
		replay.From = &engine.ReplayFrom{Nonce: p.Given.Nonce, Root: p.Given.Root, State: p.State}
	}
	end, err := o.replay(ctx, p.File, replay)
	if err != nil {
		return v, err
	}
	if end.machine.Fingerprint != p.Fingerprint {
		return v, fmt.Errorf("%s runs the module as %s, the proof is about %s: verify it on the machine that made it, or with wallaby of that version",
			end.machine.VM, end.machine.Fingerprint, p.Fingerprint)
	}
	v = Verdict{
		Statement: p.Statement, Said: p.Result, Got: end.result, GotRoot: end.machine.Root,
		Messages: end.messages, Signatures: p.Report.Signatures, Schedulers: p.Report.Schedulers,
	}
	v.Holds = bytes.Equal(v.Said, v.Got) && v.GotRoot == p.Root
	return v, nil
}

// replayEnd is what a replay came to at its last nonce.
type replayEnd struct {
	machine  engine.ReplayMachine
	messages uint64
	result   json.RawMessage
}

func (o ProofOptions) replay(ctx context.Context, file *history.File, options engine.ReplayOptions) (end replayEnd, err error) {
	if o.Machine == "" {
		o.Machine = "wazero"
	}
	last := file.End().Head
	options.Machines = []string{o.Machine}
	options.Result = func(r engine.ReplayResult) error {
		if r.Nonce == last {
			end.result = r.Result
		}
		return nil
	}
	options.Progress = func(state engine.Replay) error {
		end.machine, end.messages = state.Machines[0], state.Messages
		if o.Progress == nil {
			return nil
		}
		return o.Progress(state.Messages)
	}
	err = ReplayFile(ctx, FileReplay{
		File: file, ReplayOptions: options, CacheDir: o.CacheDir, PluginDirs: o.PluginDirs, Logger: o.Logger,
		// How fast this machine is must not decide what a result is.
		EvaluationTimeoutMS: math.MaxInt32,
	})
	if err == nil && end.result == nil {
		err = errors.New("the state that is given is behind the result")
	}
	return end, err
}

// statement says what a replay of a history's beginning came to.
func (end replayEnd) statement(file *history.File) (s proof.Statement, err error) {
	last, _, err := file.Entry(file.End().Head)
	if err != nil {
		return s, err
	}
	e, err := last.Entry()
	if err != nil {
		return s, err
	}
	s = proof.Statement{
		Process: e.Process, Nonce: e.Nonce, Message: e.Message, Assignment: e.ID,
		HashChain:   ao.NextHashChain(e.ID, e.HashChain),
		Fingerprint: end.machine.Fingerprint, Root: end.machine.Root, Result: end.result,
	}
	if s.Message.IsZero() {
		s.Message = s.Process
	}
	err = file.Others(history.KindModule, func(r history.Record) error {
		m, err := r.Module()
		s.Module = m.ID
		return err
	})
	return s, err
}
