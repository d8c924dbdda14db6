package proof

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/vm"
)

// Proof is a proof whose signatures, order and form hold. Whether what it says is so,
// a replay of File finds out, which begins in State unless that is nil.
type Proof struct {
	Statement
	File  *history.File
	State *vm.State
	// Report is what checking the history came to.
	Report history.Report

	packed   []byte
	packedAt uint64
}

// Read reads a proof of so many bytes and checks all but what it says of the result. An
// error says why it proves nothing.
func Read(ctx context.Context, in io.ReaderAt, size int64) (*Proof, error) {
	whole := func() io.Reader { return io.NewSectionReader(in, 0, size) }
	file, err := history.Open(in, size)
	if err != nil {
		return nil, err
	}
	p := &Proof{File: file}
	if err := p.parts(whole(), whole()); err != nil {
		return nil, err
	}
	var from uint64
	if p.Given != nil {
		from = p.Given.Nonce
	}
	p.Report, err = history.Verify(ctx, whole(), history.VerifyOptions{From: from})
	if err != nil {
		return nil, err
	}
	if !p.Report.OK() {
		return nil, refusal(p.Report)
	}
	return p, p.fits()
}

// parts takes out the statement and the state, and checks that the file is what would be
// written of it: a proof has no byte that could as well be another.
func (p *Proof) parts(in, original io.Reader) error {
	reader, err := history.NewReader(in)
	if err != nil {
		return err
	}
	process := reader.Header().Process
	w, err := history.NewWriter(&comparer{original: bufio.NewReader(original)}, header(process))
	if err != nil {
		return err
	}
	f := newFormer(process)
	counts := map[history.Kind]int{}
	for {
		r, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		counts[r.Kind]++
		if r.Kind == history.KindIndex || r.Kind == history.KindEnd {
			continue // the writer makes them anew
		}
		formed, err := p.form(f, r)
		if err == nil {
			err = w.Write(formed)
		}
		if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	statements, modules, checkpoints := counts[history.KindStatement], counts[history.KindModule], counts[history.KindCheckpoint]
	if statements != 1 || modules != 1 || checkpoints > 1 {
		return fmt.Errorf("a proof has one statement, one module and at most one checkpoint, not %d, %d and %d", statements, modules, checkpoints)
	}
	return p.unpack()
}

// form gives the form that a record must have.
func (p *Proof) form(f *former, r history.Record) (formed history.Record, err error) {
	switch r.Kind {
	case history.KindStatement:
		p.Statement, err = parseStatement(r)
		return p.record(), err
	case history.KindCheckpoint:
		p.packed, p.packedAt = r.Payload, r.Nonce
		return history.Record{Kind: r.Kind, Nonce: r.Nonce, Payload: r.Payload}, nil
	}
	formed, keep, err := f.form(r)
	if err == nil && !keep {
		err = fmt.Errorf("byte %d: a record of kind %s proves nothing", r.Offset, r.Kind)
	}
	return formed, err
}

// unpack reads the state that is given, which must be the one that is meant.
func (p *Proof) unpack() (err error) {
	switch {
	case p.Given == nil && p.packed == nil:
		return nil
	case p.Given == nil || p.packed == nil:
		return errors.New("a state is given and not named, or named and not given")
	case p.Given.Nonce == 0 || p.Given.Nonce >= p.Nonce || p.Given.Nonce != p.packedAt || sha256.Sum256(p.packed) != p.Given.SHA256:
		return fmt.Errorf("the state is not the one that the proof says, at nonce %d", p.Given.Nonce)
	}
	p.State, err = unpackState(p.packed)
	return err
}

// fits compares what the proof says with what is signed.
func (p *Proof) fits() error {
	last, ok, err := p.File.Entry(p.Nonce)
	if err != nil {
		return err
	}
	if !ok || p.File.End().Head != p.Nonce {
		return fmt.Errorf("the proof is about nonce %d and goes to nonce %d", p.Nonce, p.File.End().Head)
	}
	e, err := last.Entry()
	if err != nil {
		return err
	}
	message := e.Message
	if message.IsZero() {
		message = e.Process
	}
	for _, one := range []struct {
		what      string
		says, has ao.ID
	}{
		{"process", p.Process, p.Report.Process},
		{"module", p.Module, p.Report.ModuleID},
		{"message", p.Message, message},
		{"assignment", p.Assignment, e.ID},
		{"hash chain", p.HashChain, p.Report.HashChain},
	} {
		if one.says != one.has {
			return fmt.Errorf("the proof is about %s %s, and what is signed in it is %s", one.what, one.says, one.has)
		}
	}
	return nil
}

// refusal names the first thing that is not proven.
func refusal(r history.Report) error {
	for _, f := range r.Findings {
		if f.Severity != history.Remark {
			return fmt.Errorf("nonce %d, %s: %s", f.Nonce, f.What, f.Got)
		}
	}
	return fmt.Errorf("%d wrong, %d unproven", r.Wrong, r.Unproven)
}

// comparer is written what it should be the same as.
type comparer struct {
	original *bufio.Reader
	offset   int
}

// Write compares.
func (c *comparer) Write(b []byte) (int, error) {
	has := make([]byte, len(b))
	if _, err := io.ReadFull(c.original, has); err != nil || !bytes.Equal(has, b) {
		return 0, fmt.Errorf("bytes %d to %d are not written as a proof is", c.offset, c.offset+len(b))
	}
	c.offset += len(b)
	return len(b), nil
}
