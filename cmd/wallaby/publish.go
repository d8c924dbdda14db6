package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/project"
)

func (a *app) publishCommand() *cobra.Command {
	var tagFlags []string
	cmd := &cobra.Command{
		Use:   "publish FILE.wasm",
		Short: "Publish a module and print its id",
		Long: `publish signs a module with your wallet and uploads it. The module's format is
read from the file, its limits from the wallaby.yaml beside it if there is one, and
--tag overrides any of the tags it is given.`,
		Example: `  wallaby publish process.wasm
  wallaby publish process.wasm --tag Memory-Limit=500-mb --tag Name=my-module`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tags, err := parseTags(tagFlags)
			if err != nil {
				return err
			}
			if tags, err = withProjectTags(args[0], tags); err != nil {
				return err
			}
			wasm, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read module: %w", err)
			}
			signer, err := a.signer()
			if err != nil {
				return err
			}
			item, err := node.ModuleItem(wasm, tags, signer)
			if err != nil {
				return fmt.Errorf("module %s: %w", args[0], err)
			}
			if err := a.client().Upload(cmd.Context(), item); err != nil {
				return fmt.Errorf("publish %s: %w", args[0], err)
			}
			if a.output == outputJSON {
				return a.printJSON(map[string]any{"id": item.ID(), "format": item.Tags.Get(ao.TagModuleFormat), "bytes": len(wasm)})
			}
			fmt.Fprintln(a.stdout, item.ID())
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&tagFlags, "tag", nil, "add a tag `NAME=VALUE` (repeatable)")
	return cmd
}

// withProjectTags adds the tags that the project sets whose output a file is.
func withProjectTags(file string, tags dataitem.Tags) (dataitem.Tags, error) {
	dir := filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(dir, project.FileName)); err != nil {
		return tags, nil
	}
	p, err := project.Open(dir)
	if err != nil || filepath.Base(file) != p.Output {
		return tags, err
	}
	for _, tag := range p.Tags() {
		if !tags.Has(tag.Name) {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

func (a *app) spawnCommand() *cobra.Command {
	var (
		tagFlags                   []string
		scheduler, authority, data string
		name, sequencing, machine  string
		quorum                     string
	)
	cmd := &cobra.Command{
		Use:   "spawn MODULE",
		Short: "Start a process and print its id",
		Long: `spawn starts a process from a published module. The scheduler and the authority
are the node's own unless you name others. MODULE is an id, or the name of a
module file that the node was started with.`,
		Example: `  wallaby spawn aos2_0_6 --name counter
  wallaby spawn aos2_0_6 --quorum 2/3
  wallaby spawn ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s --tag On-Boot=Data --data @boot.lua`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tags, err := parseTags(tagFlags)
			if err != nil {
				return err
			}
			body, err := a.readData(data)
			if err != nil {
				return err
			}
			info, err := a.nodeInfo(cmd.Context())
			if err != nil {
				return err
			}
			module, err := findModule(info, args[0])
			if err != nil {
				return err
			}
			trusted, err := a.authorityTags(cmd.Context(), info, authority, quorum)
			if err != nil {
				return err
			}
			if name != "" {
				tags = append(tags, dataitem.Tag{Name: "Name", Value: name})
			}
			tags = append(append(tags, trusted...),
				dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
				dataitem.Tag{Name: ao.TagVariant, Value: ao.Variant},
				dataitem.Tag{Name: ao.TagType, Value: ao.TypeProcess},
				dataitem.Tag{Name: ao.TagModule, Value: module},
				dataitem.Tag{Name: ao.TagScheduler, Value: or(scheduler, info.Scheduler)},
			)
			if machine != "" {
				tags = append(tags, dataitem.Tag{Name: ao.TagVM, Value: machine})
			}
			if sequencing != "" {
				mode, err := aolog.ParseMode(sequencing)
				if err != nil {
					return usageError{err}
				}
				tags = append(tags, dataitem.Tag{Name: ao.TagSequencing, Value: mode.String()})
			}
			return a.post(cmd.Context(), dataitem.Draft{Anchor: freshAnchor(), Tags: tags, Data: body})
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&tagFlags, "tag", nil, "add a tag `NAME=VALUE` (repeatable)")
	flags.StringVar(&name, "name", "", "the process's `NAME`")
	flags.StringVar(&sequencing, "sequencing", "", "how it is ordered: `MODE` solo, raft:3, raft:5 or cosigned:K/N (default the node's)")
	flags.StringVar(&machine, "vm", "", "the virtual machine that runs it, by its `NAME` in wallaby vm list (default the node's)")
	flags.StringVar(&scheduler, "scheduler", "", "scheduler `ADDRESS` (default the node's)")
	flags.StringVar(&authority, "authority", "", "`ADDRESS` trusted to push messages, or a list with commas (default the node's)")
	flags.StringVar(&quorum, "quorum", "", "take pushes that `K/N` of the authorities have delivered (default authorities: the operators of the cluster's nodes)")
	flags.StringVar(&data, "data", " ", "data, or @FILE, or - for standard input")
	return cmd
}

// findModule turns the name of a module the node serves into its id.
func findModule(info node.Info, name string) (string, error) {
	for _, module := range info.Modules {
		if module.Name == name || module.Name == name+".wasm" {
			return module.ID, nil
		}
	}
	if _, err := ao.ParseID(name); err != nil {
		return "", ao.Errorf(ao.CodeNotFound, "%q is neither a module id nor a module this node was started with: run wallaby status to see those", name)
	}
	return name, nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
