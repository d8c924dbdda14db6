package plugin_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
)

// TestAPluginEndsWithItsNode starts a plugin whose node is gone, as after kill -9: it
// ends by itself and leaves no socket.
func TestAPluginEndsWithItsNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The directory is the socket's own, which goes with it.
	socket := filepath.Join(t.TempDir(), "of-a-plugin", "calls")
	if err := os.Mkdir(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	gone := os.Getppid() // lives, but is not what starts the plugin
	command := exec.CommandContext(ctx, os.Args[0])
	command.Env = append(os.Environ(), plugin.Handshake.MagicCookieKey+"="+plugin.Handshake.MagicCookieValue,
		plugin.SocketVariable+"="+socket, goplugin.EnvUnixSocketDir+"="+filepath.Dir(socket), plugin.ParentVariable+"="+strconv.Itoa(gone))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("the plugin ended with %v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Dir(socket)); !os.IsNotExist(err) {
		t.Errorf("the socket's directory is still there: %v", err)
	}
}

// TestWorkersLeaveNoFiles ends workers by a crash and by closing their driver: neither
// leaves sockets where temporary files are.
func TestWorkersLeaveNoFiles(t *testing.T) {
	// A path to a socket is short, so this is no directory of the test's.
	dir, err := os.MkdirTemp("", "left-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	t.Setenv("TMPDIR", dir)
	driver := plugin.New(plugin.Options{Path: os.Args[0]})
	t.Cleanup(func() { _ = driver.Close() })
	if _, err := tell(t, start(t, driver, vm.Config{}), "CRASH"); err == nil {
		t.Fatal("a crash went well")
	}
	if got, err := tell(t, start(t, driver, vm.Config{}), "count"); err != nil || got != `"2"` {
		t.Fatalf("%s, %v", got, err)
	}
	if err := driver.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		t.Errorf("%s is left", path)
	}
}
