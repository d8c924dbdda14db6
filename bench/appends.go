package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// Load is how hard a benchmark pushes and for how long.
type Load struct {
	Clients   int
	Processes int
	Seconds   float64
}

// Rate is what a load reached.
type Rate struct {
	PerSecond    float64
	MedianMS     float64
	Percentile99 float64 // milliseconds
}

// drive runs fn from many goroutines until the time is up. fn gets the number
// of its goroutine and a count that is never given twice.
func (l Load) drive(ctx context.Context, fn func(ctx context.Context, client int, n uint64) error) (Rate, error) {
	times, err := l.times(ctx, fn)
	if err != nil {
		return Rate{}, err
	}
	return times.rate()
}

// times drives fn and keeps how long each call took.
func (l Load) times(ctx context.Context, fn func(ctx context.Context, client int, n uint64) error) (Times, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wait  sync.WaitGroup
		next  atomic.Uint64
		mu    sync.Mutex
		took  []time.Duration
		start = time.Now()
		end   = start.Add(time.Duration(l.Seconds * float64(time.Second)))
	)
	for client := range l.Clients {
		wait.Go(func() {
			var mine []time.Duration
			for time.Now().Before(end) && ctx.Err() == nil {
				at := time.Now()
				if err := fn(ctx, client, next.Add(1)-1); err != nil {
					cancel(err)
					return
				}
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	wait.Wait()
	return Times{took, time.Since(start)}, context.Cause(ctx)
}

// Times is how long each of many calls took, and all of them together.
type Times struct {
	Calls   []time.Duration
	Elapsed time.Duration
}

// add puts a further round beside those before.
func (t *Times) add(more Times) {
	t.Calls = append(t.Calls, more.Calls...)
	t.Elapsed += more.Elapsed
}

func (t *Times) rate() (Rate, error) {
	if len(t.Calls) == 0 {
		return Rate{}, errors.New("nothing was done in the time allowed")
	}
	slices.Sort(t.Calls)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	count := len(t.Calls)
	return Rate{float64(count) / t.Elapsed.Seconds(), ms(t.Calls[count/2]), ms(t.Calls[count*99/100])}, nil
}

// messageBytes is the data of a benchmark message: an item of about 1.3 KiB.
const messageBytes = 1024

// Appends measures durable appends of signed messages through a solo node's
// log, beside a bare badger that flushes every write and beside what the disk
// gives to plain batched writes.
func Appends(ctx context.Context, dir string, clients int, seconds float64) ([]Row, error) {
	load := Load{Clients: clients, Processes: 64, Seconds: seconds}
	ours, unverified, err := ownAppends(ctx, filepath.Join(dir, "own"), load)
	if err != nil {
		return nil, fmt.Errorf("measure our log: %w", err)
	}
	bare, err := badgerAppends(ctx, filepath.Join(dir, "badger"), load)
	if err != nil {
		return nil, fmt.Errorf("measure badger: %w", err)
	}
	raw, err := rawAppends(ctx, filepath.Join(dir, "raw"), load)
	if err != nil {
		return nil, fmt.Errorf("measure the disk: %w", err)
	}
	name := fmt.Sprintf("append, %d clients", clients)
	return []Row{
		Higher(name+", ledger alone", "durable appends", "1/s", unverified.PerSecond, "badger SyncWrites", bare.PerSecond),
		Higher(name+", ledger alone", "share of raw group commit", "1/s", unverified.PerSecond, "write+fdatasync", raw.PerSecond),
		Higher(name+", whole pipeline", "verify+sign+commit", "1/s", ours.PerSecond, "badger SyncWrites", bare.PerSecond),
		Higher(name+", whole pipeline", "share of raw group commit", "1/s", ours.PerSecond, "write+fdatasync", raw.PerSecond),
		{Case: name + ", whole pipeline", Metric: "median latency", Unit: "ms", Value: ours.MedianMS},
		{Case: name + ", whole pipeline", Metric: "99th percentile", Unit: "ms", Value: ours.Percentile99},
	}, nil
}

// ownAppends measures the whole pipeline (verify, order, sign, commit) and then
// the ledger alone, which is what badger and the raw disk are compared with.
func ownAppends(ctx context.Context, dir string, load Load) (whole, ledger Rate, err error) {
	signer, err := dataitem.GenerateSigner(dataitem.Ethereum, rand.Reader)
	if err != nil {
		return whole, ledger, err
	}
	user, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return whole, ledger, err
	}
	n, err := raft.Open(context.Background(), raft.Options{Dir: dir, Signer: signer})
	if err != nil {
		return whole, ledger, err
	}
	defer n.Close()
	items, err := signedMessages(ctx, n, user, load, "")
	if err != nil {
		return whole, ledger, err
	}
	whole, err = load.drive(ctx, func(ctx context.Context, _ int, i uint64) error {
		if i >= uint64(len(items)) {
			return errors.New("ran out of messages that were signed beforehand")
		}
		_, _, err := n.Append(ctx, log.Proposal{Item: items[i]})
		return err
	})
	if err != nil {
		return whole, ledger, err
	}
	ledger, err = ledgerAppends(ctx, filepath.Join(dir, "ledger-alone"), load)
	return whole, ledger, err
}

// signedMessagesPerSecond bounds how many messages are signed before the clock
// starts: more than any machine of the day can take.
const signedMessagesPerSecond = 60_000

func signedMessages(ctx context.Context, n log.Log, user dataitem.Signer, load Load, mode string) ([]*dataitem.Item, error) {
	processes, err := spawnAll(ctx, n, user, load.Processes, mode)
	if err != nil {
		return nil, err
	}
	messages := messageSource{user: user, processes: processes, dataBytes: messageBytes}
	items := make([]*dataitem.Item, int(signedMessagesPerSecond*load.Seconds)+load.Clients)
	for i := range items {
		if items[i], err = messages.message(uint64(i)); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// recordBytes is the size of what one message adds to the log: the message and
// its assignment.
const recordBytes = messageBytes + 900

func ledgerAppends(ctx context.Context, dir string, load Load) (Rate, error) {
	ledger, err := log.OpenLedger(log.LedgerOptions{Dir: dir})
	if err != nil {
		return Rate{}, err
	}
	defer ledger.Close()
	payload := make([]byte, recordBytes)
	_, _ = rand.Read(payload)
	// Indices of a group rise one by one, so each client has a group of its own;
	// all groups share the segments and the flush.
	indices := make([]uint64, load.Clients)
	return load.drive(ctx, func(_ context.Context, client int, _ uint64) error {
		indices[client]++
		return ledger.Append(log.Record{
			Group: uint32(client), Kind: log.RecordRaft, Term: 1, Index: indices[client], Payload: payload,
		})
	})
}

func badgerAppends(ctx context.Context, dir string, load Load) (Rate, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		return Rate{}, err
	}
	defer db.Close()
	value := make([]byte, recordBytes)
	_, _ = rand.Read(value)
	return load.drive(ctx, func(_ context.Context, _ int, n uint64) error {
		return db.Update(func(txn *badger.Txn) error { return txn.Set(fmt.Appendf(nil, "%016x", n), value) })
	})
}

// rawAppends writes the same bytes in batches of as many records as there are
// clients, with one fdatasync each, into one allocated file after the other: the
// most that group commit can get out of the disk for a log. Writing over old
// bytes would be faster still, but a log has none to spare.
func rawAppends(ctx context.Context, dir string, load Load) (Rate, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Rate{}, err
	}
	const size = 64 << 20
	raw := rawFile{dir: dir}
	defer raw.close()
	batch := make([]byte, load.Clients*recordBytes)
	_, _ = rand.Read(batch)
	one := Load{Clients: 1, Seconds: load.Seconds}
	rate, err := one.drive(ctx, func(context.Context, int, uint64) error {
		if raw.File == nil || raw.end+int64(len(batch)) > size {
			if err := raw.next(size); err != nil {
				return err
			}
		}
		if _, err := raw.WriteAt(batch, raw.end); err != nil {
			return err
		}
		raw.end += int64(len(batch))
		return raw.Sync()
	})
	rate.PerSecond *= float64(load.Clients)
	return rate, err
}

// rawFile is the file that is being written, of a row of them.
type rawFile struct {
	fsx.File

	dir    string
	number int
	end    int64
}

func (f *rawFile) next(size int64) error {
	f.close()
	f.number++
	file, err := fsx.OS{}.Open(filepath.Join(f.dir, fmt.Sprint(f.number)), true)
	if err != nil {
		return err
	}
	f.File, f.end = file, 0
	return file.Allocate(size)
}

func (f *rawFile) close() {
	if f.File != nil {
		f.File.Close()
		f.File = nil
	}
}
