package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

func (a *app) vmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vm",
		Short: "List virtual machines, and choose one for a process",
	}
	cmd.AddCommand(a.vmListCommand(), a.vmSetCommand(), a.vmShowCommand())
	return cmd
}

// machineInfo is a virtual machine as vm list shows it.
type machineInfo struct {
	Name    string   `json:"name"`
	Engine  string   `json:"engine,omitempty"`
	From    string   `json:"from"`
	Can     []string `json:"can,omitempty"`
	Needs   []string `json:"needs,omitempty"`
	Formats []string `json:"formats,omitempty"`
	Problem string   `json:"problem,omitempty"`
}

func (a *app) vmListCommand() *cobra.Command {
	var dirs []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the virtual machines that a node started here would have",
		Long: `list shows the virtual machines that processes can choose, by spawn --vm NAME or
the tag VM: those in this program, and plugins, which are programs called
wallaby-vm-NAME beside it or in --plugin-dir.`,
		Example: "  wallaby vm list\n  wallaby vm list --plugin-dir /opt/machines -o json",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			machines := listMachines(cmd.Context(), pluginDirs(dirs))
			if a.output == outputJSON {
				return a.printJSON(machines)
			}
			var rows [][]string
			for _, m := range machines {
				state := strconv.Itoa(len(m.Formats)) + " formats"
				if m.Problem != "" {
					state = m.Problem
				}
				rows = append(rows, []string{m.Name, orDash(m.Engine), state, orDash(strings.Join(m.Can, ", ")), m.From, orDash(strings.Join(m.Needs, ", "))})
			}
			return a.printTable([]string{"VM", "ENGINE", "RUNS", "CAN", "FROM", "NEEDS"}, rows)
		},
	}
	cmd.Flags().StringArrayVar(&dirs, "plugin-dir", nil, "look for plugins in this `DIR`, too (repeatable)")
	return cmd
}

func orDash(s string) string { return or(s, "-") }

// pluginDirs adds the directory of this program to those that were named.
func pluginDirs(named []string) []string {
	self, err := os.Executable()
	if err != nil {
		return named
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	return append(slices.Clone(named), filepath.Dir(self))
}

// knownPlugins are those that wallaby's own make builds.
var knownPlugins = []string{"wasmer", "wasmtime"}

const describeTimeout = 30 * time.Second

func listMachines(ctx context.Context, dirs []string) []machineInfo {
	version := "wazero " + moduleVersion("github.com/tetratelabs/wazero")
	machines := []machineInfo{
		{Name: "wazero", Engine: version + ", compiler", From: "built in", Can: []string{"vectors", "code cache"}, Formats: wasm.Formats()},
		{Name: "wazero-interpreter", Engine: version + ", interpreter", From: "built in", Can: []string{"vectors"}, Formats: wasm.Formats()},
	}
	have := func(name string) bool {
		return slices.ContainsFunc(machines, func(m machineInfo) bool { return m.Name == name })
	}
	for _, path := range plugin.Find(dirs...) {
		driver := plugin.New(plugin.Options{Path: path})
		m := machineInfo{Name: driver.Name(), From: path}
		if have(m.Name) {
			m.Problem = "left out: the name is taken"
			machines = append(machines, m)
			continue
		}
		asking, cancel := context.WithTimeout(ctx, describeTimeout)
		about, err := driver.Describe(asking)
		cancel()
		m.Engine, m.Can, m.Needs, m.Formats = about.Engine, about.Can, about.Needs, about.Formats
		if err != nil {
			m.Problem = err.Error()
		}
		_ = driver.Close()
		machines = append(machines, m)
	}
	for _, name := range knownPlugins {
		if !have(name) {
			machines = append(machines, machineInfo{Name: name, From: "missing", Problem: "run make plugins to build it"})
		}
	}
	return machines
}

// moduleVersion gives the version of a module that this program is built with.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return strings.TrimPrefix(m.Version, "v")
			}
		}
	}
	return "(unknown version)"
}
