package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/bench"
	"github.com/wallaby-ao/wallaby/internal/procs"
)

func (a *app) benchLogCommand() *cobra.Command {
	var (
		flags benchFlags
		o     = bench.LogOptions{Progress: a.progress}
	)
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Appends to a log on three nodes, beside etcd, NATS, raft-boltdb and dragonboat",
		Long: `log measures durable appends of 1 KiB to a log on three nodes, which all run on
this machine, over loopback and on one disk. Each peer does the same in the same
run, and each load runs in a process of its own. make peers builds the peers.

Unless it says so, signatures are neither verified nor made: peers have none.`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Rounds < 1 || o.Seconds <= 0 || o.WarmUp < 0 || o.VerifyClients < 0 {
				return usageError{errors.New("want at least one round and some seconds")}
			}
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			if o.Binary, err = os.Executable(); err != nil {
				return fmt.Errorf("find this binary: %w", err)
			}
			if o.Peers == "" {
				o.Peers = filepath.Join(filepath.Dir(o.Binary), "wallaby-peers")
			}
			o.Dir = dir
			rows, notes, err := bench.Log(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.printReport(rows, notes...)
		},
	}
	cmd.Flags().StringVar(&flags.dir, "dir", "", "scratch `DIR` on the disk to measure (default a temporary one)")
	cmd.Flags().StringVar(&o.Peers, "peers", "", "`FILE` that make peers built (default wallaby-peers beside this binary)")
	cmd.Flags().IntSliceVar(&o.Clients, "clients", []int{1, 16, 256, 2048}, "clients at once")
	cmd.Flags().IntVar(&o.VerifyClients, "verify-clients", 256, "clients at once where signatures are verified; 0 leaves it out")
	cmd.Flags().IntVar(&o.Rounds, "rounds", 3, "how often all take their turns; medians are shown")
	cmd.Flags().Float64Var(&o.Seconds, "seconds", 3, "how long each load is counted")
	cmd.Flags().Float64Var(&o.WarmUp, "warm-up", 1, "seconds before that")
	return cmd
}

// benchLogLoadCommand is what benchLogCommand starts for each load of ours, so
// that what the process used up is what the load cost.
func (a *app) benchLogLoadCommand() *cobra.Command {
	var load bench.LogLoad
	cmd := &cobra.Command{
		Use:    bench.LogLoadCommand,
		Short:  "Measure one load of bench log in this process",
		Hidden: true,
		Args:   exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			procs.Spare(bench.LogSpare)
			procs.RoomyHeap(procs.HeapBytes)
			run, err := load.Run(cmd.Context())
			if err != nil {
				return err
			}
			return json.NewEncoder(a.stdout).Encode(run)
		},
	}
	cmd.Flags().StringVar(&load.Dir, "dir", "", "empty `DIR` for the nodes")
	cmd.Flags().IntVar(&load.Clients, "clients", 256, "clients at once")
	cmd.Flags().IntVar(&load.Groups, "groups", 1, "groups that the processes are in")
	cmd.Flags().Float64Var(&load.Seconds, "seconds", 3, "how long is counted")
	cmd.Flags().Float64Var(&load.WarmUp, "warm-up", 1, "seconds before that")
	cmd.Flags().BoolVar(&load.Verify, "verify", false, "verify RSA signatures")
	cmd.Flags().BoolVar(&load.Sign, "sign", false, "sign assignments")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}
