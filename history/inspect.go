package history

import (
	"errors"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// inspection is a record and what can be said of it without the others.
type inspection struct {
	record Record
	damage *Damage
	err    error // of reading
	size   int64 // of the file up to here
	done   chan struct{}

	malformed  error // the record's own form
	signatures uint64
	assignment signedPart
	place      ao.Assignment
	item       signedPart
	claim      Claim
	opening    aolog.Opening
	attested   aolog.Attested
	statements []statement
	skip       aolog.Skip
	time       Time
	module     Module
	note       Note
	ended      Ended
}

// signedPart is a signed item and whether its signature holds.
type signedPart struct {
	item      *dataitem.Item // nil: none, or malformed
	there     bool
	malformed error
	unsigned  error // the signature does not hold
}

// statement is one operator's signature.
type statement struct {
	said     aolog.Statement
	operator ao.ID
	err      error
}

// inspect runs in a worker.
func (n *inspection) inspect() {
	if n.damage != nil {
		return
	}
	r := n.record
	switch r.Kind {
	case KindEntry:
		var assignment, item []byte
		if assignment, item, n.malformed = r.parts(); n.malformed == nil {
			n.inspectAssignment(assignment)
			n.item = n.signed(item)
		}
	case KindItem:
		n.item = n.signed(r.Payload)
	case KindClaim:
		var item []byte
		n.claim, item, n.malformed = r.Claim()
		n.item = n.signed(item)
	case KindOpening:
		if n.opening, n.malformed = r.Opening(); n.malformed == nil {
			n.item = n.signed(n.opening.Order)
		}
	case KindAttest:
		n.attested, n.malformed = r.Attested()
		for _, b := range n.attested.Items {
			said, operator, err := aolog.ParseAttestation(b)
			n.signatures++
			n.statements = append(n.statements, statement{said, operator, err})
		}
	case KindSkip:
		n.skip, n.malformed = r.Skip()
	case KindTime:
		n.time, n.malformed = r.Time()
	case KindModule:
		if n.module, n.malformed = r.Module(); n.malformed == nil {
			n.item = n.signed(n.module.Item)
		}
	case KindNote:
		n.note, n.malformed = r.Note()
	case KindEnd:
		n.ended, n.malformed = r.ended()
	}
}

func (n *inspection) inspectAssignment(b []byte) {
	n.assignment = n.signed(b)
	if !n.assignment.there {
		n.assignment.malformed = errors.New("there is none")
	}
	if n.assignment.malformed == nil {
		n.place, n.assignment.malformed = ao.ParseAssignment(n.assignment.item)
	}
}

// signed parses an item and checks its signature.
func (n *inspection) signed(b []byte) (p signedPart) {
	if len(b) == 0 {
		return p
	}
	p.there = true
	if p.item, p.malformed = dataitem.Parse(b); p.malformed == nil {
		p.unsigned = p.item.Verify()
		n.signatures++
	}
	return p
}
