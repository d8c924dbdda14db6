package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/proof"
)

func (a *app) proofCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proof",
		Short: "Prove to a stranger what a process answered",
	}
	cmd.AddCommand(a.proofMakeCommand(), a.proofVerifyCommand())
	return cmd
}

// proofFlags are those that making and verifying share.
type proofFlags struct {
	machine string
	plugins []string
}

func (a *app) proofFlags(cmd *cobra.Command, f *proofFlags) {
	cmd.Flags().StringVar(&f.machine, "vm", "wazero", "`NAME` of a virtual machine, of wallaby vm list")
	cmd.Flags().StringArrayVar(&f.plugins, "plugin-dir", nil, "look for virtual machines in this `DIR`, too (repeatable)")
}

// options gives what to work with; total is how many messages there are.
func (f proofFlags) options(a *app, progress *bar, total uint64) (node.ProofOptions, error) {
	logger, err := newLogger(a.stderr, "auto", "warn")
	return node.ProofOptions{
		Machine: f.machine, CacheDir: moduleCacheDir(), PluginDirs: pluginDirs(f.plugins), Logger: logger,
		Progress: func(messages uint64) error {
			progress.show(messages, total)
			return nil
		},
	}, err
}

func (a *app) proofMakeCommand() *cobra.Command {
	var f proofFlags
	var out, from string
	var given uint64
	cmd := &cobra.Command{
		Use:   "make PROCESS|FILE.aolog NONCE",
		Short: "Replay a process up to a nonce and write a proof of its result",
		Long: `make takes a process's history from a node, or from a history file with its module,
replays it here up to a nonce, and writes the signed messages and assignments, the
signed module, the result and the root of the state into one file, which anybody can
verify offline.

The proof begins with the process, so that nothing has to be believed. With
--from-checkpoint it begins in the state after an earlier message instead, which makes
it shorter, and says only: given that state, this is the result.`,
		Example: `  wallaby proof make PID 12
  wallaby proof make history.aolog 12 --out x.aoproof
  wallaby proof make history.aolog 900000 --from-checkpoint 899990`,
		Args: exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			nonce, err := strconv.ParseUint(args[1], 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("NONCE must be a number, not %q", args[1])}
			}
			if given > 0 && given >= nonce {
				return usageError{fmt.Errorf("--from-checkpoint %d must be before nonce %d", given, nonce)}
			}
			if out == "" {
				out = fmt.Sprintf("nonce-%d.aoproof", nonce)
			}
			if from == "" {
				from = a.url
			}
			return a.makeProof(cmd.Context(), args[0], from, out, proof.Part{Nonce: nonce, Given: given}, f)
		},
	}
	a.proofFlags(cmd, &f)
	cmd.Flags().StringVar(&out, "out", "", "write to this `FILE` (default nonce-N.aoproof)")
	cmd.Flags().StringVar(&from, "from", "", "the `URL` of the node or scheduler that has the process (default --url)")
	cmd.Flags().Uint64Var(&given, "from-checkpoint", 0, "begin in the state after the message with this `NONCE`, which whoever verifies must know from elsewhere")
	return cmd
}

func (a *app) makeProof(ctx context.Context, of, from, out string, part proof.Part, f proofFlags) (err error) {
	if !isFile(of) {
		dir, err := os.MkdirTemp("", "wallaby-proof-")
		if err != nil {
			return fmt.Errorf("write the history: %w", err)
		}
		defer os.RemoveAll(dir)
		if of, err = a.fetchHistory(ctx, of, from, dir); err != nil {
			return err
		}
	}
	in, err := os.Open(of)
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	progress := a.newBar("replay")
	defer progress.close()
	options, err := f.options(a, progress, part.Nonce+1)
	if err != nil {
		return err
	}
	to, err := os.CreateTemp(filepath.Dir(out), ".*.aoproof")
	if err != nil {
		return fmt.Errorf("write the proof: %w", err)
	}
	made, err := node.MakeProof(ctx, to, in, info.Size(), part, options)
	if err == nil {
		err = errors.Join(to.Chmod(0o644), to.Sync())
	}
	err = errors.Join(err, to.Close())
	if err == nil {
		err = os.Rename(to.Name(), out)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("prove nonce %d: %w", part.Nonce, err), os.Remove(to.Name()))
	}
	progress.close()
	return a.printProof(out, made)
}

// fetchHistory gets a process's history with its module into a file.
func (a *app) fetchHistory(ctx context.Context, of, from, dir string) (path string, err error) {
	process, err := parseProcess(of)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "history.aolog")
	quiet := *a
	quiet.stdout = io.Discard // the file does not stay
	return path, quiet.importHistory(ctx, process, importFlags{from: from, out: path, module: true})
}

func (a *app) printProof(path string, p *proof.Proof) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if a.output == outputJSON {
		return a.printJSON(struct {
			File  string `json:"file"`
			Bytes int64  `json:"bytes"`
			proof.Statement
		}{path, info.Size(), p.Statement})
	}
	fmt.Fprintf(a.stdout, "%s: nonce %d of process %s, %d bytes\n", path, p.Nonce, p.Process, info.Size())
	return nil
}

func (a *app) proofVerifyCommand() *cobra.Command {
	var f proofFlags
	cmd := &cobra.Command{
		Use:   "verify FILE.aoproof",
		Short: "Find out, offline, whether a proof is true",
		Long: `verify checks every signature in a proof, the hash chain and the module's signature,
replays the messages in a fresh virtual machine of this program, and compares the
result, byte for byte and with its gas, and the root of the state. It asks nobody.

It says true (exit code 0) or false (3). Where it cannot know, because something in the
file is not what was signed, or the virtual machine is another, it says why, with exit
code 1.`,
		Example: `  wallaby proof verify x.aoproof`,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("read the proof: %w", err)
			}
			defer in.Close()
			info, err := in.Stat()
			if err != nil {
				return fmt.Errorf("read the proof: %w", err)
			}
			progress := a.newBar("replay")
			defer progress.close()
			options, err := f.options(a, progress, 0)
			if err != nil {
				return err
			}
			verdict, err := node.VerifyProof(cmd.Context(), in, info.Size(), options)
			if err != nil {
				// Whatever the cause, the answer is the same, and so is the exit code.
				return fmt.Errorf("%s: cannot say whether it is true: %s", args[0], err)
			}
			progress.close()
			if err := a.printVerdict(verdict); err != nil {
				return err
			}
			if !verdict.Holds {
				return verificationError{fmt.Errorf("%s is false", args[0])}
			}
			return nil
		},
	}
	a.proofFlags(cmd, &f)
	return cmd
}

func (a *app) printVerdict(v node.Verdict) error {
	if a.output == outputJSON {
		return a.printJSON(v)
	}
	err := a.printFields([][2]string{
		{"process", v.Process.String()},
		{"message", fmt.Sprintf("%s, nonce %d", v.Message, v.Nonce)},
		{"ordered by", strings.Join(v.Schedulers, " ")},
		{"hash chain", v.HashChain.String()},
		{"module", v.Module.String()},
		{"run as", v.Fingerprint.String()},
		{"checked", fmt.Sprintf("%d signatures, %d messages run", v.Signatures, v.Messages)},
		{"state root", v.Root.String()},
		{"result", string(v.Said)},
	})
	if err != nil {
		return err
	}
	if !v.Holds {
		fmt.Fprintln(a.stdout, "\nfalse: the replay came to something else")
		return a.printFields([][2]string{{"state root", v.GotRoot.String()}, {"result", string(v.Got)}})
	}
	if v.Given != nil {
		fmt.Fprintf(a.stdout, "\ntrue, given the state with root %s at nonce %d\n", v.Given.Root, v.Given.Nonce)
		return nil
	}
	fmt.Fprintln(a.stdout, "\ntrue, from the beginning")
	return nil
}
