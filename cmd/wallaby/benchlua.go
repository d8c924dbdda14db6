package main

import (
	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/bench"
)

func (a *app) benchLuaCommand() *cobra.Command {
	var flags benchFlags
	cmd := &cobra.Command{
		Use:   "lua",
		Short: "Wallaby's Lua runtime beside an aos module, and wallaby build",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			rows, err := bench.Lua(cmd.Context(), dir, flags.module, a.progress)
			if err != nil {
				return err
			}
			return a.printReport(rows)
		},
	}
	flags.register(cmd, true)
	_ = cmd.Flags().MarkHidden("seconds")
	return cmd
}
