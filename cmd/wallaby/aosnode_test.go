package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/wallaby-ao/wallaby/node"
)

// aosModule gives a real aos module, or skips the test.
func aosModule(t *testing.T) string {
	t.Helper()
	module := filepath.Join("..", "..", "testdata", "modules", "aos2_0_6.wasm")
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIPPED: %s is not there: run make modules, which needs npm", module)
	}
	return module
}

// openAosNode opens a node that has aos and that commands speak to. What they keep
// is in dir, the node's data in dir/data.
func openAosNode(t *testing.T, change func(*node.Options)) (n *node.Node, dir string) {
	t.Helper()
	dir = t.TempDir()
	options := node.Options{DataDir: filepath.Join(dir, "data"), CacheDir: filepath.Join(os.TempDir(), "wallaby-test-cache"), AnyPort: true, Modules: []node.ModuleFile{{Path: aosModule(t)}}}
	if change != nil {
		change(&options)
	}
	n, err := node.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("WALLABY_URL", n.Info().URLs.Gateway)
	t.Setenv("WALLABY_WALLET", filepath.Join(dir, "wallet.json"))
	t.Setenv("WALLABY_DATA_DIR", options.DataDir)
	return n, dir
}
