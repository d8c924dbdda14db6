package raft

import (
	"fmt"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// part is one part of a Raft entry, with what can be found out about it before
// its turn.
type part struct {
	log.Frame
	place log.Place
	keys  []ao.ID // dedupe keys of an entry
}

// partsOf decodes what a Raft entry carries.
func partsOf(data []byte) (parts []part, err error) {
	for len(data) > 0 {
		var p part
		if p.Frame, err = log.DecodeFrame(data); err != nil {
			return nil, err
		}
		if p.Control == nil {
			if p.keys, err = log.KeysOf(p.Entry); err != nil {
				return nil, err
			}
		}
		parts = append(parts, p)
		data = data[p.Size:]
	}
	return parts, nil
}

// place notes where the parts of a Raft entry are that is in the ledger at a
// location.
func place(parts []part, entry *hraft.Log, location log.Location) {
	location.Offset += dataOffset(entry)
	for i := range parts {
		p := &parts[i]
		if p.Control == nil {
			p.place = log.Place{Location: location, Length: uint32(p.Size), TimestampMS: p.Entry.TimestampMS}
		}
		location.Offset += int64(p.Size)
	}
}

// proposed has what this node proposes itself: the parts, so that it need not decode
// them when they are committed, and the term in which it leads. Raft gives back the
// very bytes that it was given, which is how they are known again.
type proposed struct {
	mu      sync.Mutex
	batches map[*byte]proposal
}

type proposal struct {
	term  uint64
	parts []part
}

func (p *proposed) add(data []byte, term uint64, parts []part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.batches == nil {
		p.batches = map[*byte]proposal{}
	}
	p.batches[&data[0]] = proposal{term, parts}
}

func (p *proposed) remove(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.batches, &data[0])
}

// parts gives the parts of proposed bytes, nil for others'.
func (p *proposed) parts(data []byte) []part {
	if len(data) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batches[&data[0]].parts
}

// check returns an error for an entry that this node proposed in one term and that
// is to be stored in another: it was proposed by a leader who leads no longer.
func (p *proposed) check(entry *hraft.Log) error {
	if len(entry.Data) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.batches[&entry.Data[0]]; ok && known.term != entry.Term {
		return fmt.Errorf("entry %d was proposed in term %d and is to be stored in term %d", entry.Index, known.term, entry.Term)
	}
	return nil
}
