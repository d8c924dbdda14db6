package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/log"
)

// logStore is hashicorp/raft's view of one group in the ledger.
//
// A record's payload is: type u8, length of the extensions u32, extensions,
// data. Nothing is ever freed by it: what Raft no longer needs is still the
// history of its processes.
//
// The newest entries stay in memory, because a leader reads them once for each
// follower and a follower to apply them.
type logStore struct {
	ledger   *log.Ledger
	group    uint32
	proposed *proposed // by this node

	mu     sync.Mutex
	recent map[uint64]*hraft.Log
	order  []uint64 // indices of recent, oldest first
	bytes  int
}

// recentBytesMax bounds the entries that one group keeps in memory.
const recentBytesMax = 8 << 20

func newLogStore(ledger *log.Ledger, group uint32, proposed *proposed) *logStore {
	return &logStore{ledger: ledger, group: group, proposed: proposed, recent: map[uint64]*hraft.Log{}}
}

// remember keeps entries that are durable.
func (s *logStore) remember(entries []*hraft.Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, entry := range entries {
		if old := s.recent[entry.Index]; old != nil {
			s.bytes -= len(old.Data)
		} else {
			s.order = append(s.order, entry.Index)
		}
		s.recent[entry.Index] = entry
		s.bytes += len(entry.Data)
	}
	for s.bytes > recentBytesMax && len(s.order) > 0 {
		if old := s.recent[s.order[0]]; old != nil {
			s.bytes -= len(old.Data)
			delete(s.recent, s.order[0])
		}
		s.order = s.order[1:]
	}
}

// forget drops entries that a new leader does not have.
func (s *logStore) forget(from uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for index, entry := range s.recent {
		if index >= from {
			s.bytes -= len(entry.Data)
			delete(s.recent, index)
		}
	}
}

func (s *logStore) recall(index uint64) *hraft.Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recent[index]
}

var _ hraft.LogStore = (*logStore)(nil)

const logHeaderBytes = 5

// FirstIndex gives the first index, 0 when there is none.
func (s *logStore) FirstIndex() (uint64, error) {
	first, _ := s.ledger.Bounds(s.group)
	return first, nil
}

// LastIndex gives the last index, 0 when there is none.
func (s *logStore) LastIndex() (uint64, error) {
	_, last := s.ledger.Bounds(s.group)
	return last, nil
}

// GetLog reads one entry and checks its bytes.
func (s *logStore) GetLog(index uint64, to *hraft.Log) error {
	if entry := s.recall(index); entry != nil {
		*to = *entry
		return nil
	}
	record, _, err := s.ledger.Record(s.group, index)
	if errors.Is(err, log.ErrEntryUnknown) {
		return hraft.ErrLogNotFound
	}
	if err != nil {
		return err
	}
	return decodeLog(record, to)
}

// StoreLog makes one entry durable.
func (s *logStore) StoreLog(entry *hraft.Log) error { return s.StoreLogs([]*hraft.Log{entry}) }

// StoreLogs makes entries durable with one flush.
func (s *logStore) StoreLogs(entries []*hraft.Log) error {
	records := make([]log.Record, len(entries))
	for i, entry := range entries {
		if err := s.proposed.check(entry); err != nil {
			return err
		}
		records[i] = log.Record{
			Group: s.group, Kind: log.RecordRaft, Term: entry.Term, Index: entry.Index, Payload: encodeLog(entry),
		}
	}
	if err := s.ledger.Append(records...); err != nil {
		return err
	}
	s.remember(entries)
	return nil
}

// DeleteRange takes back entries that a new leader does not have. A range at
// the front is what Raft has a snapshot of; the ledger keeps it.
func (s *logStore) DeleteRange(from, to uint64) error {
	_, last := s.ledger.Bounds(s.group)
	if to < last {
		return nil
	}
	s.forget(from)
	return s.ledger.Append(log.Record{Group: s.group, Kind: log.RecordTruncate, Index: from})
}

func encodeLog(entry *hraft.Log) []byte {
	b := make([]byte, 0, logHeaderBytes+len(entry.Extensions)+len(entry.Data))
	b = append(b, byte(entry.Type))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(entry.Extensions)))
	b = append(b, entry.Extensions...)
	return append(b, entry.Data...)
}

func decodeLog(record log.Record, to *hraft.Log) error {
	b := record.Payload
	if len(b) < logHeaderBytes || uint64(binary.LittleEndian.Uint32(b[1:])) > uint64(len(b)-logHeaderBytes) {
		return fmt.Errorf("%w: Raft entry %d is too short", log.ErrCorrupt, record.Index)
	}
	extensions := logHeaderBytes + int(binary.LittleEndian.Uint32(b[1:]))
	*to = hraft.Log{
		Index: record.Index, Term: record.Term, Type: hraft.LogType(b[0]),
		Extensions: b[logHeaderBytes:extensions:extensions], Data: b[extensions:],
	}
	return nil
}

// dataOffset is where the data begins in a payload whose entry has been read.
func dataOffset(entry *hraft.Log) int64 { return int64(logHeaderBytes + len(entry.Extensions)) }
