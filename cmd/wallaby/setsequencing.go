package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) setSequencingCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "set-sequencing PROCESS MODE",
		Short: "Have a process ordered in another mode from its next message on",
		Long: `set-sequencing signs an order that begins a new epoch of the process: the nodes
that order it now stop at a message, and those of the new mode go on from there.
Clients need not do anything; a message sent meanwhile waits a moment.

MODE is solo, raft:3, raft:5 or cosigned:K/N, as far as the cluster has nodes for
it. The operator says so with --config, the file of a node on this machine; the
owner of the process with --wallet.`,
		Example: `  wallaby process set-sequencing PID raft:3 --config certs/n1/n1.yaml
  wallaby process set-sequencing PID cosigned:2/3 --wallet owner.json`,
		Args: exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			mode, err := aolog.ParseMode(args[1])
			if err != nil {
				return usageError{err}
			}
			if config != "" {
				return a.operate(cmd.Context(), config, node.PathSetSequencing, url.Values{"process": {process.String()}, "mode": {mode.String()}})
			}
			return a.orderSequencing(cmd.Context(), process, mode)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the `FILE` of a node on this machine: the scheduler's key signs")
	return cmd
}

// orderSequencing signs with the user's wallet, who must own the process.
func (a *app) orderSequencing(ctx context.Context, process ao.ID, mode aolog.Mode) error {
	signer, err := a.signer()
	if err != nil {
		return err
	}
	info, err := a.sequencing(ctx, process)
	if err != nil {
		return err
	}
	item, err := dataitem.Create(dataitem.Draft{Tags: node.OrderTags(process, mode, info.Epoch+1)}, signer)
	if err != nil {
		return fmt.Errorf("sign the order: %w", err)
	}
	target := strings.TrimRight(a.url, "/") + "/su/" + process.String() + "/sequencing"
	if err := connect.New(a.url).Do(ctx, http.MethodPost, target, "application/octet-stream", item.Bytes(), nil); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "done")
	return nil
}

// sequencing asks a node how a process is ordered.
func (a *app) sequencing(ctx context.Context, process ao.ID) (info node.SequencingInfo, err error) {
	target := strings.TrimRight(a.url, "/") + node.PathSequencing + "?" + url.Values{"process": {process.String()}}.Encode()
	err = connect.New(a.url).Do(ctx, http.MethodGet, target, "", nil, &info)
	return info, err
}

// attestationsFile is what GET /{process}/attestations answers.
type attestationsFile struct {
	Process      ao.ID `json:"process"`
	Attestations []struct {
		Epoch uint64   `json:"epoch"`
		First uint64   `json:"first"`
		Nonce uint64   `json:"nonce"`
		Items []string `json:"attestations"`
	} `json:"attestations"`
	Next *uint64 `json:"next,omitempty"`
}

func (a *app) attestationsCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "attestations PROCESS",
		Short: "Get operators' signatures under a cosigned process's order",
		Long: `attestations gets what operators have signed, as JSON. With --out it goes to a
file that process check-attestations checks without any node.`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			all := attestationsFile{Process: process}
			for from := uint64(0); ; {
				var page attestationsFile
				target := fmt.Sprintf("%s/su/%s/attestations?from=%d", strings.TrimRight(a.url, "/"), process, from)
				if err := connect.New(a.url).Do(cmd.Context(), http.MethodGet, target, "", nil, &page); err != nil {
					return err
				}
				all.Attestations = append(all.Attestations, page.Attestations...)
				if page.Next == nil {
					break
				}
				from = *page.Next
			}
			if out == "" {
				return a.printJSON(all)
			}
			b, err := json.MarshalIndent(all, "", "  ")
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, append(b, '\n'), 0o644); err != nil {
				return fmt.Errorf("write attestations: %w", err)
			}
			fmt.Fprintf(a.stdout, "%d attested places are in %s\n", len(all.Attestations), out)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write to this `FILE`")
	return cmd
}

func (a *app) checkAttestationsCommand() *cobra.Command {
	var (
		operators []string
		need      int
	)
	cmd := &cobra.Command{
		Use:   "check-attestations FILE",
		Short: "Check operators' signatures without asking any node",
		Long: `check-attestations checks that every place in a file of process attestations has
signatures of enough of the operators you name, and that none is left out.`,
		Example: "  wallaby process check-attestations a.json --operators ADDR,ADDR,ADDR --need 2",
		Args:    exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read attestations: %w", err)
			}
			var file attestationsFile
			if err := json.Unmarshal(b, &file); err != nil {
				return fmt.Errorf("%s is no file of process attestations: %w", args[0], err)
			}
			if need < 1 || len(operators) < need {
				return usageError{fmt.Errorf("say how many of which operators must have signed: --operators ADDR,… --need K")}
			}
			first, last, err := file.check(operators, need)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "nonces %d to %d of %s: signed by %d or more of %d operators\n", first, last, file.Process, need, len(operators))
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&operators, "operators", nil, "the operators' `ADDRESSES`, as process sequencing shows them")
	cmd.Flags().IntVar(&need, "need", 0, "how many of them must have signed")
	return cmd
}

// check gives the first and the last nonce that are covered.
func (f attestationsFile) check(operators []string, need int) (first, last uint64, err error) {
	if len(f.Attestations) == 0 {
		return 0, 0, ao.Errorf(ao.CodeNotFound, "there is no attestation in the file")
	}
	next := uint64(math.MaxUint64)
	epoch := f.Attestations[0].Epoch
	for _, place := range f.Attestations {
		if next != math.MaxUint64 && place.Epoch == epoch && place.First != next {
			return 0, 0, fmt.Errorf("nonces %d to %d are signed by nobody", next, place.First-1)
		}
		signed := map[string]bool{}
		for _, text := range place.Items {
			item, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil {
				return 0, 0, fmt.Errorf("nonce %d: %w", place.Nonce, err)
			}
			said, operator, err := aolog.ParseAttestation(item)
			switch {
			case err != nil:
				return 0, 0, fmt.Errorf("nonce %d: %w", place.Nonce, err)
			case said.Process != f.Process || said.Nonce != place.Nonce || said.Epoch != place.Epoch:
				return 0, 0, fmt.Errorf("nonce %d: what %s signed is about nonce %d of %s", place.Nonce, operator, said.Nonce, said.Process)
			}
			if slices.Contains(operators, operator.String()) {
				signed[operator.String()] = true
			}
		}
		if len(signed) < need {
			return 0, 0, fmt.Errorf("nonce %d is signed by %d of the operators, and %d are needed", place.Nonce, len(signed), need)
		}
		next, epoch = place.Nonce+1, place.Epoch
	}
	return f.Attestations[0].First, next - 1, nil
}

func (a *app) evidenceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "Show, submit or check proof that a scheduler signed two orders",
		Long: `Two assignments that give one place of a process to different things, signed by
one scheduler, prove that it gave two orders. A node keeps what it is shown.`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []aohttp.Contradiction
			if err := connect.New(a.url).Do(cmd.Context(), http.MethodGet, strings.TrimRight(a.url, "/")+"/su/evidence", "", nil, &list); err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.stdout, "no scheduler was seen to sign two orders")
				return nil
			}
			var rows [][]string
			for _, c := range list {
				rows = append(rows, []string{c.Process.String(), strconv.FormatUint(c.Nonce, 10), c.Scheduler})
			}
			return a.printTable([]string{"PROCESS", "NONCE", "SIGNED TWICE BY"}, rows)
		},
	}
	cmd.AddCommand(a.evidenceSubmitCommand(), a.evidenceCheckCommand())
	return cmd
}

func (a *app) evidenceSubmitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "submit ASSIGNMENT",
		Short: "Compare a signed assignment from elsewhere with the node's own log",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read assignment: %w", err)
			}
			var answer struct {
				Contradicts bool `json:"contradicts"`
			}
			target := strings.TrimRight(a.url, "/") + "/su/evidence"
			if err := connect.New(a.url).Do(cmd.Context(), http.MethodPost, target, "application/octet-stream", b, &answer); err != nil {
				return err
			}
			if answer.Contradicts {
				fmt.Fprintln(a.stdout, "it contradicts the node's log: both assignments are kept")
			} else {
				fmt.Fprintln(a.stdout, "it says what the node's log says")
			}
			return nil
		},
	}
}

func (a *app) evidenceCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check ASSIGNMENT ASSIGNMENT",
		Short: "Check two signed assignments without asking any node",
		Args:  exactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			var items [2]*dataitem.Item
			for i, path := range args {
				b, err := os.ReadFile(path)
				if err != nil {
					return fmt.Errorf("read assignment: %w", err)
				}
				if items[i], err = dataitem.Parse(b); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
			}
			c, contradicts, err := node.Contradict(items[0], items[1])
			if err != nil {
				return err
			}
			if !contradicts {
				fmt.Fprintln(a.stdout, "they do not contradict each other")
				return nil
			}
			fmt.Fprintf(a.stdout, "%s has signed two orders: nonce %d of process %s is given twice\n", c.Scheduler, c.Nonce, c.Process)
			return nil
		},
	}
}
