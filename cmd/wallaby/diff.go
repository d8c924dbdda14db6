package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/engine"
)

// difference is the first of two accounts of a process.
type difference struct {
	Process ao.ID  `json:"process,omitzero"`
	A       string `json:"a"`
	B       string `json:"b"`
	// Compared is how many places of the history were, up to and with the first that
	// differs.
	Compared uint64      `json:"compared"`
	First    *firstNonce `json:"first,omitempty"`
	Remark   string      `json:"remark,omitempty"`
}

// firstNonce is where two accounts part, and what differs there.
type firstNonce struct {
	Nonce   uint64 `json:"nonce"`
	Tick    uint64 `json:"tick,omitempty"`
	Message ao.ID  `json:"message,omitzero"`
	// What differs: the histories themselves, results or only states.
	What   string               `json:"what"`
	Fields []diff.Field         `json:"fields,omitempty"`
	States *engine.ReplayStates `json:"states,omitempty"`
}

// diffFlags are those of the command diff.
type diffFlags struct {
	process string
	replayFlags
}

func (a *app) diffCommand() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Find the first nonce at which two accounts of a process differ, and what differs",
		Long: `diff compares two accounts of a process. Each is one of

  FILE.aolog[@VM]  a history, replayed here on a virtual machine (wazero)
  URL              a Wallaby node, or its compute unit
  FILE             results, as replay --results writes them

Two histories are first compared by their hash chains, by bisection. If they are one,
and the machines are two, both run side by side, and where their states part, which may
be before any result shows it, diff tells the pages of memory that differ, and of an aos
process the Lua globals. Nodes are asked for digests of their results, by bisection: of
n results 1 + log2(n) times; and of two nodes the roots of states are compared in the
same way, and where they part, their memories and Lua globals. A compute unit without digests, and a file of results, are
compared with a history, result by result.

With a difference the exit code is 3.`,
		Example: `  wallaby diff history.aolog@wazero history.aolog@wasmtime
  wallaby diff history.aolog http://127.0.0.1:4000
  wallaby diff http://one:4000 http://other:4000 --process PID
  wallaby diff mine.aolog theirs.aolog`,
		Args: exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.diff(cmd.Context(), args[0], args[1], f)
			if err != nil {
				return err
			}
			if err := a.printDifference(d); err != nil {
				return err
			}
			if d.First != nil {
				return verificationError{fmt.Errorf("they differ at nonce %d", d.First.Nonce)}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&f.process, "process", "", "the `PROCESS` to compare, if no side is a history")
	cmd.Flags().StringVar(&f.module, "module", "", "the module's `FILE.wasm`, if a history has none")
	cmd.Flags().StringArrayVar(&f.plugins, "plugin-dir", nil, "look for virtual machines in this `DIR`, too (repeatable)")
	return cmd
}

func (a *app) diff(ctx context.Context, nameA, nameB string, f diffFlags) (d difference, err error) {
	one, err := openAccount(nameA)
	if err != nil {
		return d, err
	}
	defer one.closeFile()
	other, err := openAccount(nameB)
	if err != nil {
		return d, err
	}
	defer other.closeFile()
	d = difference{A: nameA, B: nameB}
	if d.Process, err = f.processOf(one, other); err != nil {
		return d, err
	}
	switch {
	case one.file != nil && other.file != nil:
		return d, a.diffHistories(ctx, &d, one, other, f)
	case one.results != nil && other.results != nil:
		return d, diffFiles(&d, one, other)
	case one.results != nil || other.results != nil:
		return d, a.diffClaims(ctx, &d, one, other, f)
	}
	return d, a.diffDigests(ctx, &d, one, other, f)
}

// processOf says whose accounts they are.
func (f diffFlags) processOf(one, other *account) (process ao.ID, err error) {
	if f.process != "" {
		if process, err = parseProcess(f.process); err != nil {
			return process, err
		}
	}
	for _, side := range []*account{one, other} {
		if side.file == nil {
			continue
		}
		has := side.file.Header().Process
		if !process.IsZero() && has != process {
			return process, usageError{fmt.Errorf("%s is the history of process %s, not of %s", side.name, has, process)}
		}
		process = has
	}
	if process.IsZero() && (one.results == nil || other.results == nil) {
		return process, usageError{errors.New("name the process with --process, since neither side is a history")}
	}
	return process, nil
}

// diffFiles compares two files of results.
func diffFiles(d *difference, one, other *account) error {
	for nonce := uint64(0); ; nonce++ {
		a, okA := one.results[nonce]
		b, okB := other.results[nonce]
		if !okA || !okB {
			if okA != okB {
				d.Remark = "one of them ends there"
			}
			if d.Compared == 0 {
				return errors.New("there is no nonce that both have a result of")
			}
			return nil
		}
		d.Compared++
		if same, err := sameResult(a, b); err != nil || !same {
			d.First = &firstNonce{Nonce: nonce, What: "results", Fields: diff.Fields(a, b)}
			return err
		}
	}
}

// diffClaims compares a history's replay with results that are known one by one.
func (a *app) diffClaims(ctx context.Context, d *difference, one, other *account, f diffFlags) error {
	mine, theirs, swapped := one, other, false
	if mine.file == nil {
		mine, theirs, swapped = other, one, true
	}
	if mine.file == nil {
		return usageError{errors.New("a file of results can be compared with a history or another file: wallaby import gets the history")}
	}
	claims, err := openClaims(ctx, theirs.name, mine.file)
	if err != nil {
		return err
	}
	defer claims.close()
	state, err := a.replayAccount(ctx, mine, f, engine.ReplayOptions{Machines: []string{mine.machine}, Claimed: claims.compare})
	if err != nil {
		return err
	}
	d.Compared = uint64(claims.compared)
	if found := state.Divergence; found != nil {
		fields := diff.Fields([]byte(found.Result), []byte(found.Wanted))
		if swapped {
			fields = diff.Fields([]byte(found.Wanted), []byte(found.Result))
		}
		d.First = &firstNonce{Nonce: found.Nonce, Message: found.Message, What: "results", Fields: fields}
	} else if claims.compared == 0 {
		return fmt.Errorf("%s has no result of the history", theirs.name)
	}
	return nil
}
