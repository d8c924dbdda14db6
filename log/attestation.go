package log

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Statement is what an operator signs: this assignment has this place, and all
// before it have theirs.
type Statement struct {
	Process    ao.ID  `json:"process"`
	Epoch      uint64 `json:"epoch"`
	Nonce      uint64 `json:"nonce"`
	Assignment ao.ID  `json:"assignment"`
	// HashChain is the one that the next assignment must carry: a hash over this
	// assignment and all before it.
	HashChain ao.ID `json:"hashChain"`
}

// StatementOf gives the statement about a process's newest place.
func StatementOf(h Head) Statement {
	return Statement{h.Process, h.Epoch, h.Nonce, h.Assignment, ao.NextHashChain(h.Assignment, h.HashChain)}
}

// Tags gives the tags of the attestation that says so.
func (s Statement) Tags() dataitem.Tags {
	return dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		{Name: ao.TagType, Value: ao.TypeAttestation},
		{Name: ao.TagProcess, Value: s.Process.String()},
		{Name: ao.TagEpoch, Value: strconv.FormatUint(s.Epoch, 10)},
		{Name: ao.TagNonce, Value: strconv.FormatUint(s.Nonce, 10)},
		{Name: ao.TagAssignment, Value: s.Assignment.String()},
		{Name: ao.TagHashChain, Value: s.HashChain.String()},
	}
}

// Sign gives the signed attestation.
func (s Statement) Sign(operator dataitem.Signer) (*dataitem.Item, error) {
	item, err := dataitem.Create(dataitem.Draft{Tags: s.Tags()}, operator)
	if err != nil {
		return nil, fmt.Errorf("sign an attestation of %s: %w", s.Process, err)
	}
	return item, nil
}

// ParseAttestation checks a signed attestation and gives what it says and whose
// it is.
func ParseAttestation(b []byte) (s Statement, operator ao.ID, err error) {
	item, err := dataitem.Parse(b)
	if err != nil {
		return s, operator, fmt.Errorf("attestation: %w", err)
	}
	if !item.Tags.Contains(ao.TagType, ao.TypeAttestation) {
		return s, operator, fmt.Errorf("item %s is no attestation", item.ID())
	}
	if err := item.Verify(); err != nil {
		return s, operator, fmt.Errorf("attestation %s: %w", item.ID(), err)
	}
	for _, field := range []struct {
		tag string
		id  *ao.ID
	}{{ao.TagProcess, &s.Process}, {ao.TagAssignment, &s.Assignment}, {ao.TagHashChain, &s.HashChain}} {
		if *field.id, err = ao.ParseID(item.Tags.Get(field.tag)); err != nil {
			return s, operator, fmt.Errorf("attestation %s: tag %s: %w", item.ID(), field.tag, err)
		}
	}
	if s.Epoch, err = strconv.ParseUint(item.Tags.Get(ao.TagEpoch), 10, 64); err == nil {
		s.Nonce, err = strconv.ParseUint(item.Tags.Get(ao.TagNonce), 10, 64)
	}
	if err != nil {
		return s, operator, fmt.Errorf("attestation %s: %w", item.ID(), err)
	}
	return s, dataitem.AddressOf(item.Owner), nil
}

// Attested is a place of a process whose order enough operators have signed:
// with the hash chain, they sign all before it too.
type Attested struct {
	Process ao.ID  `json:"process"`
	Epoch   uint64 `json:"epoch"`
	// First is the oldest place that these signatures are the first for.
	First uint64 `json:"first"`
	Nonce uint64 `json:"nonce"`
	// Items are the signed attestations, one for each operator.
	Items [][]byte `json:"items"`
	// Index is the Raft index at which the group took them.
	Index uint64 `json:"index,omitempty"`
}

func (a Attested) encode() []byte {
	b, _ := json.Marshal(a) // these types always encode
	return b
}

// Attested gives what was signed of a process at exactly one nonce, or
// ErrEntryUnknown.
func (x *Index) Attested(process ao.ID, nonce uint64) (a Attested, err error) {
	b, err := x.get(key('K', process[:], nonceBytes(nonce)))
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return a, x.broken(fmt.Errorf("%w: attestations of %s in the log index: %w", ErrCorrupt, process, err))
	}
	return a, nil
}

// Attestations lists what was signed of a process at nonces from..to, at most
// limit.
func (x *Index) Attestations(process ao.ID, from, to uint64, limit int) (list []Attested, err error) {
	err = x.scan(key('K', process[:]), key('K', process[:], nonceBytes(from)), func(_, value []byte) (bool, error) {
		var a Attested
		if err := json.Unmarshal(value, &a); err != nil {
			return false, fmt.Errorf("%w: attestations of %s in the log index: %w", ErrCorrupt, process, err)
		}
		if a.Nonce > to {
			return false, nil
		}
		list = append(list, a)
		return len(list) < limit, nil
	})
	return list, err
}
