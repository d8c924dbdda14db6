package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) forkCommand() *cobra.Command {
	var (
		order    node.ForkOrder
		replaced []string
		module   string
		compare  bool
	)
	cmd := &cobra.Command{
		Use:   "fork [PROCESS@NONCE]",
		Short: "Try a process's history otherwise: without messages, with others, on other code",
		Long: `fork has the node evaluate a process's log up to a nonce once more, with changes, in
a store of its own, and prints the id of what comes of it. Ask that as any process:
wallaby eval, state, results, result, dryrun. It takes no messages and is known to
this node alone, until that stops or four newer forks are made. Messages keep their
places, times and signatures. Ask the node on its own machine; without PROCESS@NONCE,
fork lists the forks that there are.

A replacement's FILE is a signed message, or the data for one like the message that it
replaces: your wallet signs that, so to a process it is from you.`,
		Example: "  wallaby fork PID@100 --drop 42 --compare\n  wallaby fork PID@100 --replace 42=fixed.lua\n  wallaby fork PID@100 --module new.wasm --compare",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listForks(cmd.Context())
			}
			process, at, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			if at == nil || at.Tick > 0 {
				return usageError{fmt.Errorf("say up to which message: wallaby fork PROCESS@NONCE")}
			}
			order.Process, order.Nonce = process, at.Nonce
			if err := a.readReplacements(cmd.Context(), &order, replaced); err != nil {
				return err
			}
			if module != "" {
				if order.Module, err = os.ReadFile(module); err != nil {
					return fmt.Errorf("read module: %w", err)
				}
			}
			line, err := a.fork(cmd.Context(), order)
			if err != nil {
				return err
			}
			return a.printFork(line, compare)
		},
	}
	flags := cmd.Flags()
	drop := flags.StringSlice("drop", nil, "leave out the messages at these `NONCES` (repeatable)")
	flags.StringArrayVar(&replaced, "replace", nil, "put another message at a nonce: `NONCE=FILE` (repeatable)")
	flags.StringVar(&module, "module", "", "run the code in this `FILE` in the place of the module's")
	flags.BoolVar(&compare, "compare", false, "show the first result that is another than the process's own")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		for _, text := range *drop {
			nonce, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("--drop %q: name nonces", text)}
			}
			order.Drop = append(order.Drop, nonce)
		}
		return nil
	}
	return cmd
}

// readReplacements adds NONCE=FILE flags to an order.
func (a *app) readReplacements(ctx context.Context, order *node.ForkOrder, flags []string) error {
	order.Replace = map[uint64][]byte{}
	for _, flag := range flags {
		text, path, ok := strings.Cut(flag, "=")
		nonce, err := strconv.ParseUint(text, 10, 64)
		if !ok || err != nil {
			return usageError{fmt.Errorf("--replace %q: write NONCE=FILE", flag)}
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the message for nonce %d: %w", nonce, err)
		}
		if item, err := dataitem.Parse(content); err == nil && item.Verify() == nil {
			order.Replace[nonce] = content
			continue
		}
		if order.Replace[nonce], err = a.sameMessage(ctx, order.Process, nonce, content); err != nil {
			return fmt.Errorf("replace nonce %d: %w", nonce, err)
		}
	}
	return nil
}

// sameMessage signs a message like that at a nonce, with other data.
func (a *app) sameMessage(ctx context.Context, process ao.ID, nonce uint64, data []byte) ([]byte, error) {
	list, err := a.client().Schedule(ctx, process, int64(nonce), 1)
	if err != nil {
		return nil, err
	}
	if len(list.Edges) == 0 || list.Edges[0].Node.Message == nil {
		return nil, errors.New("there is no message to take tags from: give a signed one")
	}
	signer, err := a.signer()
	if err != nil {
		return nil, err
	}
	item, err := dataitem.Create(dataitem.Draft{Target: process[:], Tags: list.Edges[0].Node.Message.Tags, Data: data}, signer)
	if err != nil {
		return nil, err
	}
	return item.Bytes(), nil
}

// fork posts an order and follows the node's lines to the last.
func (a *app) fork(ctx context.Context, order node.ForkOrder) (line node.ForkLine, err error) {
	body, err := json.Marshal(order)
	if err != nil {
		return line, fmt.Errorf("encode the order: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(a.url, "/")+node.PathFork, bytes.NewReader(body))
	if err != nil {
		return line, usageError{err}
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return line, fmt.Errorf("ask %s for a fork: %w: is the node running?", a.url, err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line = node.ForkLine{}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || response.StatusCode != http.StatusOK {
			return line, fmt.Errorf("%s", refusalText(lines.Bytes(), line.Error))
		}
		if line.Error != "" {
			return line, errors.New(line.Error)
		}
		fmt.Fprintf(a.stderr, "\rwallaby: %d results", line.Results)
	}
	fmt.Fprintln(a.stderr)
	if err := lines.Err(); err != nil {
		return line, fmt.Errorf("read the fork: %w", err)
	}
	if !line.Done {
		return line, errors.New("the node went away in the middle of the fork")
	}
	return line, nil
}

func (a *app) printFork(line node.ForkLine, compare bool) error {
	if a.output == outputJSON {
		return a.printJSON(line)
	}
	fields := append([][2]string{{"fork", line.Fork.ID.String()}}, forkFields(line.Fork)...)
	fields = append(fields, [2]string{"state root", line.Root.String()},
		[2]string{"results", strconv.FormatUint(line.Results, 10)}, [2]string{"different", strconv.FormatUint(line.Differ, 10)})
	if err := a.printFields(fields); err != nil || !compare {
		return err
	}
	d := line.First
	if d == nil {
		fmt.Fprintln(a.stdout, "\nequal: every result at a place that was not changed")
		return nil
	}
	what := "message " + d.Message.String()
	if d.Tick > 0 {
		what = fmt.Sprintf("tick %d", d.Tick)
	}
	own := d.Process
	if own == "" {
		own = "nothing"
	}
	fmt.Fprintf(a.stdout, "\nnonce %d, %s\nprocess: %s\nfork: %s\n", d.Nonce, what, own, d.Fork)
	return nil
}

func forkFields(f node.ForkInfo) [][2]string {
	fields := [][2]string{{"process", f.Process.String()}, {"nonce", strconv.FormatUint(f.Nonce, 10)}}
	for _, change := range []struct {
		what   string
		nonces []uint64
	}{{"dropped", f.Dropped}, {"replaced", f.Replaced}} {
		if len(change.nonces) > 0 {
			fields = append(fields, [2]string{change.what, strings.Trim(fmt.Sprint(change.nonces), "[]")})
		}
	}
	if !f.Module.IsZero() {
		fields = append(fields, [2]string{"other code", f.Module.String()})
	}
	return fields
}

// forks asks the node for those that it has.
func (a *app) forks(ctx context.Context) (list []node.ForkInfo, err error) {
	err = a.read(ctx, node.PathForks, nil, &list)
	return list, err
}

func (a *app) listForks(ctx context.Context) error {
	list, err := a.forks(ctx)
	if err != nil {
		return err
	}
	if a.output == outputJSON {
		return a.printJSON(list)
	}
	rows := make([][]string, 0, len(list))
	for _, f := range list {
		var changes []string
		for _, field := range forkFields(f)[2:] {
			changes = append(changes, field[0]+" "+field[1])
		}
		rows = append(rows, []string{f.ID.String(), f.Process.String(), strconv.FormatUint(f.Nonce, 10), strings.Join(changes, ", ")})
	}
	return a.printTable([]string{"FORK", "PROCESS", "NONCE", "CHANGES"}, rows)
}
