package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// restart fills a log in a process of its own, kills that, and measures how long
// it takes to open the log: after the kill, after a close in good order, and
// without its index.
func (o ScaleOptions) restart(ctx context.Context) (rows []Row, err error) {
	dir := filepath.Join(o.Dir, "restart")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o.Progress(fmt.Sprintf("filling a log with %d messages", o.Messages))
	filled, err := o.fillAndKill(ctx, dir)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("log of %d messages", o.Messages)
	rows = append(rows, Row{Case: name, Metric: "filled by 256 clients (verify, sign, commit)", Unit: "1/s", Value: float64(o.Messages) / filled})
	read, err := readSeconds(filepath.Join(dir, "segments"))
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		metric string
		change func() error
	}{
		{"open after kill -9", func() error { return nil }},
		{"open, index warm (target 10 s)", func() error { return nil }},
		{"open without the index", func() error { return os.RemoveAll(filepath.Join(dir, raft.IndexDirName)) }},
	} {
		o.Progress(c.metric)
		if err := c.change(); err != nil {
			return nil, err
		}
		wall, processor, err := o.openSeconds(ctx, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.metric, err)
		}
		rows = append(rows, Lower(name, c.metric, "s", wall, "", 0), Lower(name, c.metric+", processor time", "s", processor, "", 0))
	}
	records := float64(o.Messages)
	without := rows[len(rows)-2].Value
	return append(rows, Higher(name, "reindexed from segments (target 200000)", "1/s", records/without, "read+CRC32C", records/read)), nil
}

// fillAndKill has another process fill a log and kills it without a warning. It
// gives how many seconds the filling took.
func (o ScaleOptions) fillAndKill(ctx context.Context, dir string) (float64, error) {
	cmd := exec.CommandContext(ctx, o.Binary, "bench", "fill", "--dir", dir, "--messages", strconv.Itoa(o.Messages))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", o.Binary, err)
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	killErr := cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if err := errors.Join(readErr, killErr); err != nil {
		return 0, fmt.Errorf("fill a log: %w", err)
	}
	var seconds float64
	if _, err := fmt.Sscan(line, &seconds); err != nil {
		return 0, fmt.Errorf("fill a log: it said %q: %w", line, err)
	}
	return seconds, nil
}

// The messages of a filled log are small, and its scheduler signs with a key
// that is quick, so that the filling takes as little as it can; nothing that
// happens when a log is opened looks at signatures.
const (
	fillDataBytes = 256
	fillProcesses = 1000
	fillClients   = 256
)

// Fill makes a log of that many messages in dir, as a node would have it, tells
// to how many seconds that took, and waits to be killed.
func Fill(ctx context.Context, dir string, messages int, to io.Writer) error {
	signer, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return err
	}
	n, err := raft.Open(ctx, raft.Options{Dir: dir, Signer: signer})
	if err != nil {
		return err
	}
	defer n.Close()
	source := messageSource{user: signer, dataBytes: fillDataBytes}
	start := time.Now()
	if source.processes, err = spawnAll(ctx, n, signer, min(fillProcesses, messages), ""); err != nil {
		return err
	}
	err = eachOf(ctx, fillClients, messages-len(source.processes), func(ctx context.Context, i int) error {
		item, err := source.message(uint64(i))
		if err != nil {
			return err
		}
		_, _, err = n.Append(ctx, log.Proposal{Item: item})
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(to, time.Since(start).Seconds())
	<-ctx.Done()
	return nil
}

// openSeconds opens a log until it takes appends, looks whether all is there,
// and closes it. Processor time is all cores' together, which says more than the
// clock does on a machine with other work.
func (o ScaleOptions) openSeconds(ctx context.Context, dir string) (wall, processor float64, err error) {
	signer, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return 0, 0, err
	}
	start, before := time.Now(), processorSeconds()
	n, err := raft.Open(ctx, raft.Options{Dir: dir, Signer: signer})
	if err != nil {
		return 0, 0, err
	}
	wall, processor = time.Since(start).Seconds(), processorSeconds()-before
	heads, err := n.Processes(ctx, [32]byte{}, fillProcesses+1)
	count := 0
	for _, head := range heads {
		count += int(head.Nonce) + 1
	}
	if err == nil && count != o.Messages {
		err = fmt.Errorf("the log has %d messages, %d were acknowledged", count, o.Messages)
	}
	return wall, processor, errors.Join(err, n.Close())
}

// processorSeconds is what this program has computed so far.
func processorSeconds() float64 {
	var used unix.Rusage
	// It cannot fail for the program itself.
	_ = unix.Getrusage(unix.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

// readSeconds reads all files of a directory once and sums their bytes: the
// least that making an index anew must do.
func readSeconds(dir string) (float64, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		return 0, err
	}
	start := time.Now()
	table := crc32.MakeTable(crc32.Castagnoli)
	buffer := make([]byte, 1<<20)
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		sum := crc32.New(table)
		_, err = io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{f}, buffer)
		if err := errors.Join(err, f.Close()); err != nil {
			return 0, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return time.Since(start).Seconds(), nil
}
