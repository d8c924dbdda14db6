package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// ScaleOptions say how large a log is measured.
type ScaleOptions struct {
	Dir     string
	Binary  string // the wallaby that fills a log and is killed
	Clients int
	Seconds float64 // of each load
	// Processes is how many the large log has; the small one has 100.
	Processes int
	// Messages is how many a log holds when it is opened again.
	Messages int
	// Only leaves out all parts but one of ScaleParts; "" measures all.
	Only     string
	Progress func(string)
}

// ScaleParts are the parts of Scale, in order.
var ScaleParts = []string{"processes", "bytes", "restart"}

// Scale measures what a log costs when it is large: the latency of appends with
// many processes beside few, the bytes that an append puts on the disk, and how
// long a node with many messages takes to open.
func Scale(ctx context.Context, o ScaleOptions) (rows []Row, err error) {
	measure := map[string]func(context.Context) ([]Row, error){"processes": o.processes, "bytes": o.bytes, "restart": o.restart}
	for _, part := range ScaleParts {
		if o.Only != "" && o.Only != part {
			continue
		}
		more, err := measure[part](ctx)
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", part, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// processesFew is the number of processes that many are compared with.
const processesFew = 100

// processes measures a log of few processes and one of many in turns, so that
// both see the same disk and the same neighbours.
func (o ScaleOptions) processes(ctx context.Context) (rows []Row, err error) {
	counts := []int{processesFew, o.Processes}
	logs := make([]*populated, len(counts))
	for i, count := range counts {
		o.Progress(fmt.Sprintf("spawning %d processes", count))
		if logs[i], err = populate(ctx, filepath.Join(o.Dir, fmt.Sprint(count)), count); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, logs[i].close()) }()
	}
	o.Progress("appends to few and to many processes in turns")
	times := make([]Times, len(counts))
	for range max(1, int(o.Seconds)) {
		for i := range logs {
			round, err := logs[i].appendFor(ctx, Load{Clients: o.Clients, Seconds: 1})
			if err != nil {
				return nil, err
			}
			times[i].add(round)
		}
	}
	few, err := times[0].rate()
	if err != nil {
		return nil, err
	}
	many, err := times[1].rate()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("append, %d clients, %d processes", o.Clients, o.Processes)
	peer := fmt.Sprintf("%d processes", processesFew)
	return []Row{
		Higher(name, "messages acknowledged", "1/s", many.PerSecond, peer, few.PerSecond),
		Lower(name, "median", "ms", many.MedianMS, peer, few.MedianMS),
		Lower(name, "99th percentile (target 1.5 times)", "ms", many.Percentile99, peer, few.Percentile99),
	}, nil
}

// populated is a solo node's log with processes to append to.
type populated struct {
	node     *raft.Node
	dir      string
	messages messageSource
	sent     uint64
}

func populate(ctx context.Context, dir string, processes int) (*populated, error) {
	signer, err := dataitem.GenerateSigner(dataitem.Ethereum, rand.Reader)
	if err != nil {
		return nil, err
	}
	user, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return nil, err
	}
	n, err := raft.Open(ctx, raft.Options{Dir: dir, Signer: signer})
	if err != nil {
		return nil, err
	}
	p := &populated{node: n, dir: dir, messages: messageSource{user: user, dataBytes: messageBytes}}
	if p.messages.processes, err = spawnAll(ctx, n, user, processes, ""); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *populated) close() error { return errors.Join(p.node.Close(), os.RemoveAll(p.dir)) }

// appendFor appends messages that are signed before the clock starts.
func (p *populated) appendFor(ctx context.Context, load Load) (Times, error) {
	items := make([]*dataitem.Item, int(signedMessagesPerSecond*load.Seconds)+load.Clients)
	err := eachOf(ctx, 2, len(items), func(_ context.Context, i int) (err error) {
		items[i], err = p.messages.message(p.sent + uint64(i))
		return err
	})
	if err != nil {
		return Times{}, err
	}
	p.sent += uint64(len(items))
	return load.times(ctx, func(ctx context.Context, _ int, i uint64) error {
		if i >= uint64(len(items)) {
			return errors.New("ran out of messages that were signed beforehand")
		}
		_, _, err := p.node.Append(ctx, log.Proposal{Item: items[i]})
		return err
	})
}

// bytes measures what appends put on the disk, up to and with the close of the
// log, which writes what the index still holds back.
func (o ScaleOptions) bytes(ctx context.Context) ([]Row, error) {
	o.Progress("bytes on the disk of appends")
	p, err := populate(ctx, filepath.Join(o.Dir, "bytes"), 64)
	if err != nil {
		return nil, err
	}
	before, err := writtenBytes()
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	var kept uint64
	for range max(1, int(o.Seconds)) {
		round, err := p.appendFor(ctx, Load{Clients: o.Clients, Seconds: 1})
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		kept += uint64(len(round.Calls))
	}
	each, err := entryBytes(ctx, p)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	whole, err := o.writtenUntilClosed(p, before)
	if err != nil {
		return nil, err
	}
	ledger, err := o.ledgerBytes(ctx)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("append, %d clients", o.Clients)
	return []Row{
		{Case: name, Metric: "disk bytes by payload bytes, ledger (target 1.3)", Unit: "", Value: ledger},
		{Case: name, Metric: "disk bytes by payload bytes, with index (target 1.3)", Unit: "", Value: float64(whole) / float64(kept*each)},
		{Case: name, Metric: "index, disk bytes of a message", Unit: "B", Value: float64(whole)/float64(kept) - ledger*float64(each)},
	}, nil
}

func (o ScaleOptions) writtenUntilClosed(p *populated, before uint64) (uint64, error) {
	if err := p.node.Close(); err != nil {
		return 0, err
	}
	after, err := writtenBytes()
	return after - before, errors.Join(err, os.RemoveAll(p.dir))
}

// entryBytes is what an append must keep: the message and its assignment, as
// the newest entry of a process has them.
func entryBytes(ctx context.Context, p *populated) (uint64, error) {
	head, err := p.node.Head(ctx, p.messages.processes[0])
	if err != nil {
		return 0, err
	}
	entry, err := p.node.Read(ctx, head.Process, head.Nonce)
	return uint64(len(entry.ItemBytes) + len(entry.AssignmentBytes)), err
}

// ledgerBytes gives the disk bytes of a payload byte in the ledger alone.
func (o ScaleOptions) ledgerBytes(ctx context.Context) (float64, error) {
	dir := filepath.Join(o.Dir, "ledger")
	before, err := writtenBytes()
	if err != nil {
		return 0, err
	}
	rate, err := ledgerAppends(ctx, dir, Load{Clients: o.Clients, Seconds: 1})
	if err != nil {
		return 0, err
	}
	after, err := writtenBytes()
	return float64(after-before) / (rate.PerSecond * recordBytes), errors.Join(err, os.RemoveAll(dir))
}

// writtenBytes is what this program has had the disk write; Linux only. What was
// written to a file that was deleted before it came to the disk does not count.
func writtenBytes() (uint64, error) {
	f, err := os.Open("/proc/self/io")
	if err != nil {
		return 0, fmt.Errorf("read the bytes written: %w", err)
	}
	defer f.Close()
	var written, cancelled uint64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "write_bytes":
			written, err = strconv.ParseUint(value, 10, 64)
		case "cancelled_write_bytes":
			cancelled, err = strconv.ParseUint(value, 10, 64)
		}
		if err != nil {
			return 0, fmt.Errorf("read the bytes written: %w", err)
		}
	}
	return written - cancelled, nil
}
