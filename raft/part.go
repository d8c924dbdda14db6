package raft

import (
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

// proposed has the parts of what this node proposes itself, so that it need not
// decode them when they are committed. Raft gives back the very bytes that it was
// given, which is how they are known again.
type proposed struct {
	mu    sync.Mutex
	parts map[*byte][]part
}

func (p *proposed) add(data []byte, parts []part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts == nil {
		p.parts = map[*byte][]part{}
	}
	p.parts[&data[0]] = parts
}

func (p *proposed) remove(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.parts, &data[0])
}

// take gives the parts of proposed bytes, nil for others'.
func (p *proposed) take(data []byte) []part {
	if len(data) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := p.parts[&data[0]]
	delete(p.parts, &data[0])
	return parts
}
