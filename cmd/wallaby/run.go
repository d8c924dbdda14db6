package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/trial"
)

// runFlags are those of wallaby run.
type runFlags struct {
	todo          []runInput
	tags          []string
	owner, name   string
	data, machine string
	step          bool
}

// runInput is one thing to do, in the order of the command line.
type runInput struct{ kind, text string }

const (
	runMessage = "message"
	runEval    = "eval"
	runAdvance = "advance"
)

// inputFlag keeps the order of flags that may be mixed.
type inputFlag struct {
	kind string
	to   *[]runInput
}

func (f inputFlag) String() string { return "" }
func (f inputFlag) Type() string   { return "text" }
func (f inputFlag) Set(text string) error {
	*f.to = append(*f.to, runInput{f.kind, text})
	return nil
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [FILE.wasm|DIR]",
		Short: "Run a process here, message by message, without a node",
		Long: `run starts a process in memory and gives it messages, one after the other. It shows
what each comes to, and carries what processes send to each other. Nothing leaves this
program and nothing is kept; the same messages come to the same bytes every time.

A message is a JSON object: From is a name, whose key follows from it, or the id of a
process; Data is data; To is the id of another process than the first; all else are
tags, of which @alice stands for alice's address. Without --message, --eval or --advance, the lines of standard input are taken: a
JSON object is a message, +10m lets ten minutes pass, all else is code to evaluate.`,
		Example: `  wallaby run process.wasm --message '{"Action":"Info"}'
  wallaby run my-token --eval 'Count = 5' --message '{"Action":"Info","From":"alice"}'
  wallaby run --tag Cron-Interval=1-minute --tag Cron-Tag-Action=Tick --advance 3m`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "."
			if len(args) > 0 {
				path = args[0]
			}
			return a.runHere(cmd.Context(), path, f)
		},
	}
	flags := cmd.Flags()
	flags.Var(inputFlag{runMessage, &f.todo}, "message", "send a message, as `JSON` (repeatable)")
	flags.Var(inputFlag{runEval, &f.todo}, "eval", "have the owner evaluate `CODE` (repeatable)")
	flags.Var(inputFlag{runAdvance, &f.todo}, "advance", "let time pass, such as 90s or 24h: a `DURATION` (repeatable)")
	flags.StringArrayVar(&f.tags, "tag", nil, "add a tag `NAME=VALUE` to the process (repeatable)")
	flags.StringVar(&f.owner, "owner", "owner", "the `NAME` of who spawns it")
	flags.StringVar(&f.name, "name", "", "the process's `NAME`")
	flags.StringVar(&f.data, "data", " ", "the process's data, or @FILE, or - for standard input")
	flags.StringVar(&f.machine, "vm", "", "the virtual machine, by its `NAME` in wallaby vm list (default wazero)")
	flags.BoolVar(&f.step, "step", false, "wait for Enter before each message")
	return cmd
}

// here is a run of processes in this program.
type here struct {
	*app
	world   *trial.World
	owner   string
	process ao.ID
	names   map[string]string // of people and processes, by address
	steps   int
	lines   *bufio.Scanner
	step    bool
}

func (a *app) runHere(ctx context.Context, path string, f runFlags) (err error) {
	module, err := localModule(ctx, path)
	if err != nil {
		return err
	}
	tags, err := parseTags(f.tags)
	if err != nil {
		return err
	}
	if f.machine != "" {
		tags = append(tags, dataitem.Tag{Name: ao.TagVM, Value: f.machine})
	}
	if f.name != "" {
		tags = append(dataitem.Tags{{Name: "Name", Value: f.name}}, tags...)
	}
	if _, err := ao.ParseCrons(tags); err != nil {
		return usageError{err}
	}
	data, err := a.readData(f.data)
	if err != nil {
		return err
	}
	machines, err := a.localMachines()
	defer func() {
		for _, machine := range machines {
			err = errors.Join(err, machine.Close())
		}
	}()
	if err != nil {
		return err
	}
	world, err := trial.NewWorld(machines...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	h := &here{app: a, world: world, owner: f.owner, names: map[string]string{}, lines: bufio.NewScanner(a.stdin), step: f.step}
	h.lines.Buffer(nil, 16<<20)
	world.Watch = h.show
	if err := h.spawn(ctx, world.AddModule(module), trial.Message{From: f.owner, Tags: tags, Data: string(data)}); err != nil {
		return err
	}
	for _, input := range f.todo {
		if err := h.do(ctx, input); err != nil {
			return err
		}
	}
	if len(f.todo) > 0 {
		return nil
	}
	return h.read(ctx)
}

// read takes what is to be done from standard input.
func (h *here) read(ctx context.Context) error {
	for h.lines.Scan() {
		line := strings.TrimSpace(h.lines.Text())
		input := runInput{runEval, line}
		switch {
		case line == "":
			continue
		case line[0] == '{':
			input.kind = runMessage
		case line[0] == '+':
			input = runInput{runAdvance, line[1:]}
		}
		if err := h.do(ctx, input); err != nil {
			if _, wrong := errors.AsType[usageError](err); !wrong {
				return err
			}
			fmt.Fprintf(h.stderr, "wallaby: %s\n", oneLine(err)) // the next line may be better
		}
	}
	return h.lines.Err()
}

func (h *here) spawn(ctx context.Context, module ao.ID, m trial.Message) error {
	if err := h.know(m.From); err != nil {
		return err
	}
	item, err := h.world.Spawn(module, m)
	if err != nil {
		return err
	}
	h.process = item.ID()
	h.names[item.ID().String()] = or(m.Tags.Get("Name"), "process")
	if err := h.post(ctx, item); err != nil {
		return err
	}
	if len(h.world.Processes()) == 0 {
		return errors.New("the process cannot start")
	}
	return nil
}

// know remembers somebody's name.
func (h *here) know(name string) error {
	address, err := h.world.Address(name)
	if err == nil && address != name {
		h.names[address] = name
	}
	return err
}

func (h *here) do(ctx context.Context, input runInput) error {
	if input.kind == runAdvance {
		duration, err := time.ParseDuration(input.text)
		if err != nil || duration < 0 {
			return usageError{fmt.Errorf("%q is no duration: write it as 90s, 10m or 24h", input.text)}
		}
		_, err = h.world.Advance(ctx, duration.Milliseconds())
		return err
	}
	to, m := h.process, trial.Message{From: h.owner, Tags: dataitem.Tags{{Name: "Action", Value: "Eval"}}, Data: input.text}
	if input.kind == runMessage {
		var err error
		if to, m, err = h.parse(input.text); err != nil {
			return usageError{fmt.Errorf("message %s: %w", input.text, err)}
		}
	}
	if err := h.know(m.From); err != nil {
		return err
	}
	item, err := h.world.Message(to, m)
	if err != nil {
		return usageError{err}
	}
	return h.post(ctx, item)
}

// parse reads a message: fields that are none of a message's own are tags.
func (h *here) parse(text string) (to ao.ID, m trial.Message, err error) {
	to, m.From, m.Data = h.process, h.owner, " "
	var fields map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return to, m, fmt.Errorf("it is no JSON object: %w", err)
	}
	if given, ok := fields["Tags"].(map[string]any); ok {
		delete(fields, "Tags")
		maps.Copy(fields, given)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value, ok := fields[name].(string)
		if !ok {
			b, err := json.Marshal(fields[name])
			if err != nil {
				return to, m, err
			}
			value = string(b)
		}
		if name != "Data" && name != "From" {
			if value, err = h.addressed(value); err != nil {
				return to, m, err
			}
		}
		switch name {
		case "From":
			m.From = value
		case "Data":
			m.Data = value
		case "To":
			if to, err = ao.ParseID(value); err != nil {
				return to, m, fmt.Errorf("the id in To: %w", err)
			}
		default:
			m.Tags = append(m.Tags, dataitem.Tag{Name: name, Value: value})
		}
	}
	return to, m, nil
}

// addressed puts an address in place of @NAME.
func (h *here) addressed(value string) (string, error) {
	name, ok := strings.CutPrefix(value, "@")
	if !ok || name == "" {
		return value, nil
	}
	if err := h.know(name); err != nil {
		return "", err
	}
	return h.world.Address(name)
}

func (h *here) post(ctx context.Context, item *dataitem.Item) error {
	if _, err := h.world.Post(ctx, item); err != nil {
		return err
	}
	for steps := 1; ; steps++ {
		if h.step {
			fmt.Fprint(h.stderr, "Enter goes on ")
			if !h.lines.Scan() {
				return io.ErrUnexpectedEOF
			}
		}
		_, any, err := h.world.Step(ctx)
		if err != nil || !any || h.world.Waiting() == 0 {
			return err
		}
		if steps >= h.world.StepsMax {
			return fmt.Errorf("%d messages came of it, and %d wait: the processes do not come to rest", steps, h.world.Waiting())
		}
	}
}
