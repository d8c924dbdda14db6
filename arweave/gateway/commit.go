package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// ErrClosed is returned by calls on a closed gateway.
var ErrClosed = errors.New("the gateway is closed")

// A group of jobs becomes one database transaction, and so one flush to disk,
// up to these bounds, which stay well below what the database allows.
const (
	groupKeysMax  = 4000
	groupBytesMax = 512 << 10
	jobQueueSize  = 1024
)

// job is one change of the store. It must look before it writes: when run gives
// an error, it has written nothing.
type job struct {
	run   func(txn *badger.Txn) error
	keys  int // at most this many are written
	bytes int // of values
	err   error
	done  chan struct{}
}

// committer is the only writer of the database. It gathers the jobs that wait
// into groups, so that concurrent uploads share flushes.
type committer struct {
	db *badger.DB
	// after runs when a group is on disk, before it is acknowledged.
	after   func() error
	onFatal func(error)
	jobs    chan *job
	stop    chan struct{}
	ended   chan struct{}
	broken  error // owned by run: the first failure of the disk
}

func startCommitter(db *badger.DB, after func() error, onFatal func(error)) *committer {
	c := &committer{
		db: db, after: after, onFatal: onFatal,
		jobs: make(chan *job, jobQueueSize), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	go c.run()
	return c
}

// do runs one change and returns when it is on disk. When ctx ends first, the
// change may still happen.
func (c *committer) do(ctx context.Context, keys, bytes int, run func(txn *badger.Txn) error) error {
	j, err := c.submit(ctx, keys, bytes, run)
	if err != nil {
		return err
	}
	return c.await(ctx, j)
}

func (c *committer) submit(ctx context.Context, keys, bytes int, run func(txn *badger.Txn) error) (*job, error) {
	j := &job{run: run, keys: keys, bytes: bytes, done: make(chan struct{})}
	select {
	case <-c.stop:
		return nil, ErrClosed
	default:
	}
	select {
	case c.jobs <- j:
		return j, nil
	case <-c.stop:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *committer) await(ctx context.Context, j *job) error {
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ended:
		// The committer may have finished this job just before it ended.
		select {
		case <-j.done:
			return j.err
		default:
			return ErrClosed
		}
	}
}

// close lets the jobs that were taken finish.
func (c *committer) close() {
	close(c.stop)
	<-c.ended
}

func (c *committer) run() {
	defer close(c.ended)
	for {
		select {
		case first := <-c.jobs:
			c.commit(c.gather(first))
		case <-c.stop:
			for {
				select {
				case first := <-c.jobs:
					c.commit(c.gather(first))
				default:
					return
				}
			}
		}
	}
}

// gather takes the jobs that wait already.
func (c *committer) gather(first *job) []*job {
	group, keys, bytes := []*job{first}, first.keys, first.bytes
	for keys < groupKeysMax && bytes < groupBytesMax {
		select {
		case next := <-c.jobs:
			group = append(group, next)
			keys, bytes = keys+next.keys, bytes+next.bytes
		default:
			return group
		}
	}
	return group
}

// commit writes a group. After the disk has failed once nothing is known of
// what it holds, so every later change is refused.
func (c *committer) commit(group []*job) {
	if c.broken == nil {
		if c.broken = c.write(group); c.broken != nil {
			c.onFatal(c.broken)
		}
	}
	for _, j := range group {
		if c.broken != nil {
			j.err = c.broken
		}
		close(j.done)
	}
}

func (c *committer) write(group []*job) error {
	txn := c.db.NewTransaction(true)
	defer txn.Discard()
	for _, j := range group {
		if j.err = j.run(txn); errors.Is(j.err, badger.ErrTxnTooBig) {
			return fmt.Errorf("write to the gateway's store: %w", j.err)
		}
	}
	if err := txn.Commit(); err != nil {
		return fmt.Errorf("write to the gateway's store: %w", err)
	}
	return c.after()
}
