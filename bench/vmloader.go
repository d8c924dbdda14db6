package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// warmUpMS is how long the loader runs most workloads before they are timed. Ours have
// nothing to warm up but caches, which their first round does.
const warmUpMS = 1500

// runLoader gives the loader one round of a workload.
func runLoader(ctx context.Context, loader *LoaderPeer, module, format string, work vmWork) ([]time.Duration, error) {
	job := LoaderJob{Wasm: module, Format: format, Env: vmEnv(), First: vmMessage(0, " "), KeepMemory: true, WarmUpMS: cmp.Or(work.warmUpMS, warmUpMS),
		Messages: []json.RawMessage{vmMessage(1, work.setUp())}}
	for n := range work.count {
		job.Messages = append(job.Messages, vmMessage(n+2, work.lua))
	}
	timing, err := loader.Run(ctx, job)
	if err != nil {
		return nil, err
	}
	if len(timing.Milliseconds) != len(job.Messages) {
		return nil, fmt.Errorf("the loader timed %d of %d messages", len(timing.Milliseconds), len(job.Messages))
	}
	var times []time.Duration
	for _, ms := range timing.Milliseconds[1:] {
		times = append(times, time.Duration(ms*float64(time.Millisecond)))
	}
	return times, nil
}

// Version names the pinned loader and the node that runs it, as far as they say.
func (p *LoaderPeer) Version(ctx context.Context) string {
	const loader = "@permaweb/ao-loader"
	version := loader
	var about struct{ Dependencies map[string]string }
	if b, err := peerFiles.ReadFile("peer/package.json"); err == nil && json.Unmarshal(b, &about) == nil {
		version += " " + about.Dependencies[loader]
	}
	if out, err := exec.CommandContext(ctx, "node", "--version").Output(); err == nil {
		version += ", node " + strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
	}
	return version
}
