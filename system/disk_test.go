package system

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/node"
)

// smallDisk gives a node a disk of its own.
func smallDisk(t *testing.T, config string) (dir string) {
	t.Helper()
	options, err := node.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(options.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", options.DataDir, "tmpfs", 0, "size=400m"); err != nil {
		t.Skipf("SKIP: a disk that can be filled needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(options.DataDir, 0); err != nil {
			t.Error(err)
		}
	})
	return options.DataDir
}

// fill leaves so many bytes on a disk.
func fill(t *testing.T, dir string, left uint64) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	chunk := make([]byte, 64<<10)
	for {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(dir, &disk); err != nil {
			t.Fatal(err)
		}
		if disk.Bavail*uint64(disk.Bsize) <= left {
			break
		}
		if _, err := file.Write(chunk); err != nil {
			break // no room at all
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFullDiskStopsItsNodeAlone fills the disk of a node under load: nearly,
// upon which it stops and says what to do, and at once to the last byte, upon
// which it may end as it must. The others go on, and with room it comes back.
func TestAFullDiskStopsItsNodeAlone(t *testing.T) {
	var dir string
	c := startClusterFrom(t, func(cluster, id string) string {
		config := node.NodeFile(cluster, id)
		if id == "n3" {
			dir = smallDisk(t, config)
		}
		return config
	})
	victim, told, stop := c.nodes[2], &record{acked: map[ao.ID][]ao.ID{}}, make(chan struct{})
	var clients sync.WaitGroup
	for number := range 4 {
		clients.Go(func() {
			if err := c.client(number, stop, told); !errors.Is(err, errStopped) {
				t.Error(err)
			}
		})
	}
	awaitAcks(t, told, 200)
	for _, left := range []uint64{80 << 20, 0} {
		empty := fill(t, dir, left)
		select {
		case <-victim.ended:
		case <-time.After(time.Minute):
			t.Fatalf("with %d bytes left the node goes on for a minute", left)
		}
		out := strings.TrimSpace(victim.out.String())
		if last := out[strings.LastIndex(out, "\n")+1:]; left > 0 && (!strings.Contains(last, dir) || !strings.Contains(last, "make room")) {
			t.Errorf("the node said last: %s", last)
		}
		awaitAcks(t, told, 100)
		if left > 0 {
			victim.start()
			if out, ended := victim.readyOrEnded(); !ended || !strings.Contains(out, "make room") {
				t.Errorf("a node with a full disk starts: %s", out)
			}
		}
		empty()
		victim.start()
		victim.awaitReady()
		awaitAcks(t, told, 100)
	}
	close(stop)
	clients.Wait()
	c.check(told)
	t.Logf("%d messages acknowledged, none lost or moved", told.count.Load())
}
