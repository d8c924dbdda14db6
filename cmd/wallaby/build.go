package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/examples"
	"github.com/wallaby-ao/wallaby/project"
)

func (a *app) initCommand() *cobra.Command {
	var lang, example string
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Begin a process of your own",
		Long: `init makes a directory with a small process, which wallaby build makes a module of.
The directory's name becomes the project's. --example begins with one of the examples
of docs/EXAMPLES.md instead: ` + strings.Join(exampleNames(), ", ") + `.`,
		Example: "  wallaby init my-token\n  wallaby init my-token --example token",
		Args:    exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.initProject(args[0], lang, example); err != nil {
				return usageError{err}
			}
			fmt.Fprintf(a.stdout, "%s holds a process: cd %s && wallaby test && wallaby build\n", args[0], args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "lua", "the `LANGUAGE` to write it in: "+strings.Join(project.Languages(), ", "))
	cmd.Flags().StringVar(&example, "example", "", "begin with this `EXAMPLE`")
	return cmd
}

func (a *app) initProject(dir, lang, example string) error {
	if example == "" {
		return project.Init(dir, lang)
	}
	if !slices.Contains(exampleNames(), example) {
		return fmt.Errorf("there is no example %q: take %s", example, strings.Join(exampleNames(), ", "))
	}
	files, err := fs.Sub(examples.Files, example)
	if err != nil {
		return err
	}
	return project.InitFrom(dir, files)
}

func exampleNames() (names []string) {
	entries, _ := fs.ReadDir(examples.Files, ".") // they are embedded
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func (a *app) buildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build [DIR]",
		Short: "Make a module of a process: in Lua without a compiler, else with yours",
		Long: `build puts the Lua files of a directory into Wallaby's Lua runtime. The process
begins with process.lua or main.lua; lib/shop.lua is required as "lib.shop". Tests
(*_test.lua, test/) and hidden directories are left out. wallaby.yaml, if there is
one, names the language, the module's limits and its file; else the dev-cli's
config.yml is read.

Of a project in C all .c files are compiled with clang, of one in Go the package with
go, of one in Rust the library with cargo, so far as they are installed.`,
		Example: "  wallaby build\n  wallaby build my-token",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			begun := time.Now()
			p, err := project.Open(dir)
			if err != nil {
				return err
			}
			built, err := p.Build(cmd.Context(), moduleCacheDir())
			if err != nil {
				return fmt.Errorf("build %s: %w", dir, err)
			}
			took := time.Since(begun)
			if a.output == outputJSON {
				return a.printJSON(built)
			}
			fmt.Fprintf(a.stdout, "%s: %d files, %d bytes, in %d ms\n", built.Path, built.Files, built.Bytes, took.Milliseconds())
			return nil
		},
	}
}
