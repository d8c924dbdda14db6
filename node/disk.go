package node

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// diskReserveBytes is what must be left on the disk for a node to go on: room for
// a segment of the log, and for what closing the stores writes. Below it a write
// into a mapped file could end the process in the middle of something.
const diskReserveBytes = 96 << 20

// diskInterval is how often the disk is looked at.
const diskInterval = time.Second

// openDisk refuses a disk that is nearly full, and stops the node in good order
// when it becomes so.
func (n *Node) openDisk(context.Context) error {
	if err := n.checkDisk(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.watchDisk(ctx)
	}()
	n.onClose("disk", func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return nil
}

func (n *Node) watchDisk(ctx context.Context) {
	ticker := time.NewTicker(diskInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := n.checkDisk(); err != nil {
				n.fail(err)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) checkDisk() error {
	free, err := diskFree(n.dir)
	if err != nil {
		return err
	}
	if free < diskReserveBytes {
		return fmt.Errorf("the disk of %s has %d MB left and a node needs %d: make room and start it again, nothing that was acknowledged is lost",
			n.dir, free>>20, diskReserveBytes>>20)
	}
	return nil
}

// diskFree gives how many bytes are left on the disk of a directory.
func diskFree(dir string) (uint64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	return disk.Bavail * uint64(disk.Bsize), nil
}
