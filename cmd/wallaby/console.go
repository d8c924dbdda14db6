package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/console"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/examples"
	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/node"
)

// consoleFlags are those of wallaby console.
type consoleFlags struct {
	module, cron, data  string
	tagNames, tagValues []string
	run                 []string
	load                []string
	list                bool
}

func (a *app) consoleCommand() *cobra.Command {
	var f consoleFlags
	cmd := &cobra.Command{
		Use:   "console [NAME|PROCESS]",
		Short: "Talk to a process: what you type is evaluated in it",
		Long: `console opens a conversation with a process of yours, found by its name or its id; one
that is not there yet is spawned. Without a name it is called default. What you type is
Lua, evaluated in the process; what comes of other messages is shown as it happens.
.help lists the commands. What belongs to somebody else is looked at only: code is tried
on a copy.

With --run, or when standard input is no terminal, it does what it is told and leaves.`,
		Example: `  wallaby console
  wallaby console counter --load counter.lua
  wallaby console counter --run 'return Count'
  wallaby console heart --cron 1-minute --tag-name Color --tag-value red`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "default"
			if len(args) > 0 {
				name = args[0]
			}
			if f.list {
				return a.listOwn(cmd.Context())
			}
			return a.converse(cmd.Context(), name, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.module, "module", "", "spawn it of this `MODULE`, by id or name (default the node's first, else Wallaby's own Lua)")
	flags.StringVar(&f.cron, "cron", "", "spawn it with a cron of this `INTERVAL`, such as 1-minute, and drive it")
	flags.StringVar(&f.data, "data", "", "spawn it with this data, or @FILE")
	flags.StringArrayVar(&f.tagNames, "tag-name", nil, "spawn it with a tag of this `NAME` (repeatable)")
	flags.StringArrayVar(&f.tagValues, "tag-value", nil, "the `VALUE` of the tag-name before it (repeatable)")
	flags.StringArrayVar(&f.load, "load", nil, "first load a Lua `FILE` (repeatable)")
	flags.StringArrayVar(&f.run, "run", nil, "evaluate `CODE` and leave (repeatable)")
	flags.BoolVar(&f.list, "list", false, "list your processes and leave")
	return cmd
}

func (a *app) listOwn(ctx context.Context) error {
	signer, err := a.signer()
	if err != nil {
		return err
	}
	found, err := a.client().Find(ctx, dataitem.AddressOf(signer.Owner()).String(), "")
	if err != nil {
		return err
	}
	if a.output == outputJSON {
		return a.printJSON(found)
	}
	fmt.Fprintln(a.stdout, console.ListText(found, ""))
	return nil
}

func (a *app) converse(ctx context.Context, name string, f consoleFlags) error {
	signer, err := a.signer()
	if err != nil {
		return err
	}
	client := a.client()
	process, err := a.findOrSpawn(ctx, name, signer, f)
	if err != nil {
		return err
	}
	if process.Owner, err = client.Owner(ctx, process.ID); err != nil {
		return err
	}
	options := console.Options{Client: client, Signer: signer, Process: process, Blueprint: blueprint, Trace: a.traceText}
	var terminal *console.Terminal
	if a.isTerminal() && len(f.run) == 0 {
		terminal = console.NewTerminal(historyFile())
		options.Lines, options.Color = terminal, os.Getenv("NO_COLOR") == ""
	} else {
		options.Lines = console.NewPlain(a.stdin, a.stdout)
	}
	c := console.New(options)
	if terminal != nil {
		terminal.CompleteWith(c.Candidates)
	}
	for _, file := range f.load {
		if err := c.Do(ctx, ".load "+file); err != nil {
			return err
		}
	}
	for _, code := range f.run {
		if err := c.Do(ctx, code); err != nil {
			return err
		}
	}
	if len(f.run) > 0 {
		if c.Failed() {
			return errors.New("the process answered with an error")
		}
		return nil
	}
	return c.Run(ctx)
}

// isTerminal reports whether somebody types and reads.
func (a *app) isTerminal() bool {
	return a.stdin == os.Stdin && a.stdout == os.Stdout && term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
}

// historyFile is where typed lines are kept; "" where there is no place for that.
func historyFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "wallaby")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return filepath.Join(dir, "console-history")
}

// blueprint gives the code of an example, and the names of all.
func blueprint(name string) (code string, names []string) {
	text, err := fs.ReadFile(examples.Files, name+"/process.lua")
	if name == "" || err != nil {
		return "", exampleNames()
	}
	return string(text), exampleNames()
}

// traceText draws what became of a message.
func (a *app) traceText(ctx context.Context, message string) (string, error) {
	query := url.Values{"id": {message}, "depth": {strconv.Itoa(node.TraceDepth)}, "root": {"false"}}
	var trace node.Trace
	if err := a.read(ctx, node.PathTrace, query, &trace); err != nil {
		return "", err
	}
	var text strings.Builder
	err := drawTrace(&text, trace)
	return strings.TrimRight(text.String(), "\n"), err
}

// findOrSpawn finds a process by its id or name, or starts one of that name.
func (a *app) findOrSpawn(ctx context.Context, name string, signer dataitem.Signer, f consoleFlags) (connect.Found, error) {
	client := a.client()
	if id, err := ao.ParseID(name); err == nil {
		return client.Process(ctx, id)
	}
	owner := dataitem.AddressOf(signer.Owner()).String()
	found, err := client.Find(ctx, owner, name)
	if err != nil {
		return connect.Found{}, err
	}
	switch {
	case len(found) > 1:
		var ids []string
		for _, one := range found {
			ids = append(ids, one.ID.String())
		}
		return connect.Found{}, usageError{fmt.Errorf("%d processes of yours are called %q: name one by its id: %s", len(found), name, strings.Join(ids, ", "))}
	case len(found) == 1 && f.spawns():
		return connect.Found{}, usageError{fmt.Errorf("%q is there already, as %s: --module, --cron, --data and tags are for a process that is spawned", name, found[0].ID)}
	case len(found) == 1:
		return found[0], nil
	}
	return a.spawnForConsole(ctx, name, signer, f)
}

func (f consoleFlags) spawns() bool {
	return f.module != "" || f.cron != "" || f.data != "" || len(f.tagNames) > 0
}

func (a *app) spawnForConsole(ctx context.Context, name string, signer dataitem.Signer, f consoleFlags) (found connect.Found, err error) {
	if len(f.tagNames) != len(f.tagValues) {
		return found, usageError{fmt.Errorf("%d of --tag-name and %d of --tag-value: each name takes a value", len(f.tagNames), len(f.tagValues))}
	}
	tags := dataitem.Tags{{Name: "Name", Value: name}}
	for i, tagName := range f.tagNames {
		tags = append(tags, dataitem.Tag{Name: tagName, Value: f.tagValues[i]})
	}
	if f.cron != "" {
		tags = append(tags, dataitem.Tag{Name: ao.TagCronInterval, Value: f.cron}, dataitem.Tag{Name: "Cron-Tag-Action", Value: "Cron"})
		if _, err := ao.ParseCrons(tags); err != nil {
			return found, usageError{err}
		}
	}
	data, err := a.readData(f.data)
	if err != nil {
		return found, err
	}
	info, err := a.nodeInfo(ctx)
	if err != nil {
		return found, err
	}
	module, err := a.moduleForConsole(ctx, info, f.module, signer)
	if err != nil {
		return found, err
	}
	client := a.client()
	id, err := client.Spawn(ctx, connect.SpawnRequest{Module: module, Scheduler: info.Scheduler, Authority: info.Authority, Tags: tags, Data: data}, signer)
	if err != nil {
		return found, fmt.Errorf("spawn %q: %w", name, err)
	}
	if f.cron != "" {
		if err := client.Monitor(ctx, id, signer); err != nil {
			return found, err
		}
	}
	return connect.Found{ID: id, Name: name, Tags: tags}, nil
}

// moduleForConsole gives the module that was named, the node's first, or Wallaby's own,
// which is published then.
func (a *app) moduleForConsole(ctx context.Context, info node.Info, named string, signer dataitem.Signer) (ao.ID, error) {
	if named == "" && len(info.Modules) > 0 {
		i := max(0, slices.IndexFunc(info.Modules, func(m node.Module) bool { return strings.HasPrefix(m.Name, "aos") }))
		named = info.Modules[i].ID
	}
	if named != "" {
		id, err := findModule(info, named)
		if err != nil {
			return ao.ID{}, err
		}
		return ao.ParseID(id)
	}
	runtime, err := lua.Runtime()
	if err != nil {
		return ao.ID{}, err
	}
	code, err := lua.Module(runtime, nil)
	if err != nil {
		return ao.ID{}, err
	}
	item, err := node.ModuleItem(code, dataitem.Tags{{Name: "Name", Value: "wallaby-lua"}}, signer)
	if err != nil {
		return ao.ID{}, err
	}
	return item.ID(), a.client().Upload(ctx, item)
}
