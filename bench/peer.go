package bench

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed peer/loader.mjs peer/package.json peer/package-lock.json
var peerFiles embed.FS

// LoaderPeer is the reference loader, @permaweb/ao-loader, in node: what a
// reference compute unit runs messages with.
type LoaderPeer struct{ dir string }

// LoaderJob is a battery for the loader: boot with First, then the messages.
type LoaderJob struct {
	Wasm       string            `json:"wasm"`
	Format     string            `json:"format"`
	Env        json.RawMessage   `json:"env"`
	First      json.RawMessage   `json:"first"`
	Messages   []json.RawMessage `json:"messages"`
	KeepMemory bool              `json:"keepMemory"`
	// WarmUpMS is how long the last message is repeated before anything is timed,
	// so that V8 has compiled what is hot.
	WarmUpMS int64 `json:"warmUpMS"`
}

// LoaderTiming is how long a battery took.
type LoaderTiming struct {
	// StartSeconds went by until the process had booted, Seconds after that.
	StartSeconds float64 `json:"startSeconds"`
	Seconds      float64 `json:"seconds"`
	Count        int     `json:"count"`
	// Milliseconds is the time of each message.
	Milliseconds []float64 `json:"milliseconds"`
	// Result is the last message's result, to be compared with ours.
	Result json.RawMessage `json:"result"`
}

// PerSecond is the rate of messages.
func (t LoaderTiming) PerSecond() float64 { return float64(t.Count) / t.Seconds }

// PerSecondFromStart counts loading the module and booting as well.
func (t LoaderTiming) PerSecondFromStart() float64 {
	return float64(t.Count) / (t.StartSeconds + t.Seconds)
}

// OpenLoaderPeer installs the pinned loader under the user's cache directory,
// once. Without node and npm it says so, and a benchmark goes on without the
// peer.
func OpenLoaderPeer(ctx context.Context) (*LoaderPeer, error) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s is not installed: the reference loader cannot be measured", tool)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	peer := &LoaderPeer{dir: filepath.Join(cache, "wallaby", "bench-peer")}
	if err := os.MkdirAll(peer.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", peer.dir, err)
	}
	fresh, err := peer.writeFiles()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(peer.dir, "node_modules", "@permaweb", "ao-loader")); err == nil && !fresh {
		return peer, nil
	}
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = peer.dir
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm ci in %s: %w: %s", peer.dir, err, strings.TrimSpace(string(out)))
	}
	return peer, nil
}

// writeFiles lays the embedded files out and reports whether the lock file
// changed, which asks for a new install.
func (p *LoaderPeer) writeFiles() (fresh bool, err error) {
	for _, name := range []string{"loader.mjs", "package.json", "package-lock.json"} {
		b, err := peerFiles.ReadFile("peer/" + name)
		if err != nil {
			return false, fmt.Errorf("read embedded %s: %w", name, err)
		}
		path := filepath.Join(p.dir, name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b) {
			continue
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return false, fmt.Errorf("write %s: %w", path, err)
		}
		fresh = fresh || name == "package-lock.json"
	}
	return fresh, nil
}

// Run measures one battery in a fresh node process.
func (p *LoaderPeer) Run(ctx context.Context, job LoaderJob) (LoaderTiming, error) {
	var timing LoaderTiming
	wasm, err := filepath.Abs(job.Wasm)
	if err != nil {
		return timing, fmt.Errorf("module path: %w", err)
	}
	job.Wasm = wasm
	input, err := json.Marshal(job)
	if err != nil {
		return timing, fmt.Errorf("encode the loader's job: %w", err)
	}
	// memory64 is still behind a flag in the versions of node that ao runs on.
	cmd := exec.CommandContext(ctx, "node", "--experimental-wasm-memory64", "--no-warnings", "loader.mjs")
	cmd.Dir = p.dir
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return timing, fmt.Errorf("run the reference loader: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(out, &timing); err != nil {
		return timing, fmt.Errorf("read the reference loader's answer: %w", err)
	}
	return timing, nil
}
