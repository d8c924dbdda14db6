package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this binary",
		Args:  exactArgs(0),
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			if a.output == outputJSON {
				return a.printJSON(v)
			}
			fmt.Fprintf(a.stdout, "wallaby %s (%s, %s)\n", v.Version, v.Go, v.Platform)
			return nil
		},
	}
}

type version struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readVersion takes the version from what the go tool stamped into the binary,
// so that no file has to be edited for a release.
func readVersion() version {
	v := version{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	return v
}
