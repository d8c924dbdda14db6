package plugin_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

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
		plugin.SocketVariable+"="+socket, plugin.ParentVariable+"="+strconv.Itoa(gone))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("the plugin ended with %v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Dir(socket)); !os.IsNotExist(err) {
		t.Errorf("the socket's directory is still there: %v", err)
	}
}
