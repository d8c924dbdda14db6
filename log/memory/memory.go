package memory

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"sort"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
)

// Log is a log.Log without a disk: the same sequencer, no durability.
type Log struct {
	// Rand is where the anchors of assignments come from; the system's unless set. Height
	// gives the height of the weave at a time; nil: 0. They are set before the first
	// Append.
	Rand   io.Reader
	Height func(timestampMS int64) uint64

	signer dataitem.Signer
	now    func() time.Time

	mu struct {
		sync.Mutex
		cond      *sync.Cond
		processes map[ao.ID][]log.Entry
		keys      map[[2]ao.ID]uint64
		order     []log.Entry
		promised  map[ao.ID]int64
		skips     map[ao.ID][]log.Skip
		watches   map[ao.ID][]log.Watch
		closed    bool
	}
}

var _ log.Log = (*Log)(nil)

// New makes an empty log that signs with signer.
func New(signer dataitem.Signer, now func() time.Time) *Log {
	m := &Log{Rand: rand.Reader, signer: signer, now: now}
	m.mu.cond = sync.NewCond(&m.mu.Mutex)
	m.mu.processes = map[ao.ID][]log.Entry{}
	m.mu.keys = map[[2]ao.ID]uint64{}
	m.mu.promised = map[ao.ID]int64{}
	m.mu.skips = map[ao.ID][]log.Skip{}
	m.mu.watches = map[ao.ID][]log.Watch{}
	return m
}

// Append gives a proposal its place; see log.Log.
func (m *Log) Append(ctx context.Context, proposal log.Proposal) (log.Entry, bool, error) {
	if err := ctx.Err(); err != nil {
		return log.Entry{}, false, err
	}
	proposal, err := proposal.Prepare()
	if err != nil {
		return log.Entry{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return log.Entry{}, false, ao.Errorf(ao.CodeUnavailable, "stopping: %w", log.ErrClosed)
	}
	process := proposal.Process
	for _, key := range proposal.DedupeKeys() {
		if nonce, ok := m.mu.keys[[2]ao.ID{process, key}]; ok {
			return m.mu.processes[process][nonce], true, nil
		}
	}
	entries := m.mu.processes[process]
	var head log.Head
	if len(entries) > 0 {
		head = m.head(process)
	} else if !proposal.IsProcess() {
		return log.Entry{}, false, ao.Errorf(ao.CodeNotFound, "process %s is not known to this scheduler", process)
	}
	nowMS, height := m.now().UnixMilli(), uint64(0)
	if m.Height != nil {
		height = m.Height(nowMS)
	}
	assignment := log.Sequencer{}.Step(head, len(entries) > 0, proposal, nowMS, height)
	var anchor [32]byte
	if _, err := io.ReadFull(m.Rand, anchor[:]); err != nil {
		return log.Entry{}, false, fmt.Errorf("draw an anchor: %w", err)
	}
	entry, err := log.SignEntry(assignment, proposal.Item, anchor, m.signer)
	if err != nil {
		return log.Entry{}, false, err
	}
	m.mu.processes[process] = append(entries, entry)
	delete(m.mu.promised, process)
	m.mu.order = append(m.mu.order, entry)
	for _, key := range append(proposal.DedupeKeys(), entry.ID) {
		m.mu.keys[[2]ao.ID{process, key}] = entry.Nonce
	}
	m.mu.cond.Broadcast()
	return entry, false, nil
}

func (m *Log) entries(process ao.ID) ([]log.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entries := m.mu.processes[process]
	if len(entries) == 0 {
		return nil, log.ErrProcessUnknown
	}
	return entries, nil
}

// Head gives the newest place of a process; see log.Log.
func (m *Log) Head(_ context.Context, process ao.ID) (log.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mu.processes[process]) == 0 {
		return log.Head{}, log.ErrProcessUnknown
	}
	return m.head(process), nil
}

// head gives the newest place of a process that has one; the lock is held.
func (m *Log) head(process ao.ID) log.Head {
	entries := m.mu.processes[process]
	head := log.HeadOf(entries[len(entries)-1])
	head.PromisedMS = m.mu.promised[process]
	return head
}

// Read gives one entry; see log.Log.
func (m *Log) Read(_ context.Context, process ao.ID, nonce uint64) (log.Entry, error) {
	entries, err := m.entries(process)
	if err != nil {
		return log.Entry{}, err
	}
	if nonce >= uint64(len(entries)) {
		return log.Entry{}, log.ErrEntryUnknown
	}
	return entries[nonce], nil
}

// Range calls fn for a stretch of entries; see log.Log.
func (m *Log) Range(ctx context.Context, process ao.ID, from, to uint64, fn func(log.Entry) error) error {
	entries, err := m.entries(process)
	if err != nil {
		return err
	}
	for nonce := from; nonce < uint64(len(entries)) && nonce <= to; nonce++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(entries[nonce]); err != nil {
			return err
		}
	}
	return nil
}

// Find gives the nonce of an id within a process; see log.Log.
func (m *Log) Find(_ context.Context, process, id ao.ID) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	nonce, ok := m.mu.keys[[2]ao.ID{process, id}]
	if !ok {
		return 0, log.ErrEntryUnknown
	}
	return nonce, nil
}

// Locate gives the process and nonce of an id; see log.Log.
func (m *Log) Locate(_ context.Context, id ao.ID) (ao.ID, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	bare := -1
	for i, entry := range m.mu.order {
		switch {
		case entry.ID == id, entry.Message == id && !entry.IsBare(), entry.Message.IsZero() && entry.Process == id:
			return entry.Process, entry.Nonce, nil
		case entry.Message == id && bare < 0:
			bare = i
		}
	}
	if bare < 0 {
		return ao.ID{}, 0, log.ErrEntryUnknown
	}
	return m.mu.order[bare].Process, m.mu.order[bare].Nonce, nil
}

// NonceAfter gives the first nonce with a later timestamp; see log.Log.
func (m *Log) NonceAfter(_ context.Context, process ao.ID, timestampMS int64) (uint64, error) {
	entries, err := m.entries(process)
	if err != nil {
		return 0, err
	}
	n := sort.Search(len(entries), func(i int) bool { return entries[i].TimestampMS > timestampMS })
	return uint64(n), nil
}

// Processes lists heads; see log.Log.
func (m *Log) Processes(_ context.Context, after ao.ID, limit int) ([]log.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var heads []log.Head
	for process := range m.mu.processes {
		if process.String() != after.String() && lessID(after, process) {
			heads = append(heads, m.head(process))
		}
	}
	sort.Slice(heads, func(i, j int) bool { return lessID(heads[i].Process, heads[j].Process) })
	return heads[:min(limit, len(heads))], nil
}

func lessID(a, b ao.ID) bool { return string(a[:]) < string(b[:]) }

// Groups names the one group.
func (m *Log) Groups() []uint32 { return []uint32{0} }

// Follow calls fn for every entry; see log.Log.
func (m *Log) Follow(ctx context.Context, _ uint32, after log.Position, fn func(log.Position, log.Entry) error) error {
	stop := context.AfterFunc(ctx, func() {
		m.mu.Lock() // whoever looks at ctx waits before this can wake it
		defer m.mu.Unlock()
		m.mu.cond.Broadcast()
	})
	defer stop()
	for next := int(after.Index); ; next++ {
		m.mu.Lock()
		for next >= len(m.mu.order) && !m.mu.closed && ctx.Err() == nil {
			m.mu.cond.Wait()
		}
		if ctx.Err() != nil || next >= len(m.mu.order) {
			m.mu.Unlock()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return log.ErrClosed
		}
		entry := m.mu.order[next]
		m.mu.Unlock()
		if err := fn(log.Position{Index: uint64(next + 1), Offset: 1}, entry); err != nil {
			return err
		}
	}
}

// Close ends every Follow.
func (m *Log) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.closed = true
	m.mu.cond.Broadcast()
	return nil
}
