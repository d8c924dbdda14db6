package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/internal/procs"
)

// verificationError is a history, a proof or a result that is not what it claims
// to be.
type verificationError struct{ err error }

func (e verificationError) Error() string { return e.err.Error() }
func (e verificationError) Unwrap() error { return e.err }

func (a *app) verifyCommand() *cobra.Command {
	var options history.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify FILE.aolog",
		Short: "Check a process's history without trusting anybody",
		Long: `verify checks every signature in a history file, and that nonces, hash chain,
timestamps, epochs and operators' signatures fit together. It goes on after a
finding, to the end, and names all of them. It asks no node.

With anything that is wrong or cannot be proven the exit code is 3. What each
finding means is in docs/formats/aolog.md.`,
		Example: `  wallaby verify history.aolog
  wallaby verify history.aolog --scheduler ADDRESS --operators ADDR,ADDR,ADDR --need 2`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Whoever reads and orders records must not wait for those that check signatures.
			procs.Spare(2)
			in, size, closeFile, err := a.openInput(args[0])
			if err != nil {
				return err
			}
			defer closeFile()
			progress := a.newBar("verify, KB")
			defer progress.close()
			options.Progress = func(r history.Report) error {
				progress.show(uint64(r.Bytes)>>10, uint64(size)>>10)
				return nil
			}
			begun := time.Now()
			report, err := history.Verify(cmd.Context(), in, options)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			progress.close()
			if err := a.printVerification(report, time.Since(begun)); err != nil {
				return err
			}
			if !report.OK() {
				return verificationError{fmt.Errorf("%s does not verify: %d wrong, %d unproven", args[0], report.Wrong, report.Unproven)}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&options.Schedulers, "scheduler", nil, "`ADDRESSES` that may have ordered (default whom the process names)")
	flags.StringSliceVar(&options.Operators, "operators", nil, "`ADDRESSES` of operators whose signatures count (default anybody's)")
	flags.IntVar(&options.Need, "need", 0, "how many of them must have signed cosigned places (default as the mode says)")
	return cmd
}

// openInput opens a file to read, or standard input for -.
func (a *app) openInput(path string) (in io.Reader, size int64, closeFile func() error, err error) {
	if path == "-" {
		return a.stdin, 0, func() error { return nil }, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("read history: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, 0, nil, fmt.Errorf("read history: %w", err)
	}
	return file, info.Size(), file.Close, nil
}

func (a *app) printVerification(r history.Report, took time.Duration) error {
	if a.output == outputJSON {
		return a.printJSON(struct {
			history.Report
			Seconds float64 `json:"seconds"`
		}{r, took.Seconds()})
	}
	chain := "-"
	if !r.HashChain.IsZero() {
		chain = r.HashChain.String()
	}
	fields := [][2]string{
		{"process", r.Process.String()},
		{"from", strings.TrimSpace(r.Source.Kind + " " + r.Source.URL)},
		{"places", fmt.Sprintf("%d, the newest has nonce %d in epoch %d", r.Entries, r.Head, r.Epoch)},
		{"time", formatTimeMS(r.FirstMS) + " to " + formatTimeMS(r.LastMS)},
		{"signed by", orDash(strings.Join(r.Schedulers, " "))},
	}
	if r.Attested > 0 {
		fields = append(fields, [2]string{"cosigned", fmt.Sprintf("%d places", r.Attested)})
	}
	if r.ModuleBytes > 0 {
		fields = append(fields, [2]string{"module", fmt.Sprintf("%s, %d bytes", r.ModuleID, r.ModuleBytes)})
	}
	rate := float64(r.Signatures) / max(took.Seconds(), 1e-3)
	fields = append(fields,
		[2]string{"signatures", fmt.Sprintf("%d checked, %.0f per second", r.Signatures, rate)},
		[2]string{"next hash chain", chain},
	)
	if err := a.printFields(fields); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		rows := make([][]string, 0, len(r.Findings))
		for _, f := range r.Findings {
			rows = append(rows, []string{strconv.FormatUint(f.Nonce, 10), string(f.What), string(f.Severity), orDash(f.Expected), f.Got})
		}
		fmt.Fprintln(a.stdout)
		if err := a.printTable([]string{"NONCE", "FINDING", "SEVERITY", "EXPECTED", "GOT"}, rows); err != nil {
			return err
		}
	}
	if total := r.Wrong + r.Unproven + r.Remarks; total > len(r.Findings) {
		fmt.Fprintf(a.stdout, "… and %d more\n", total-len(r.Findings))
	}
	if r.OK() {
		fmt.Fprintln(a.stdout, "\nproven: every signature, and the order")
	}
	return nil
}
