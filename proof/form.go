package proof

import (
	"crypto/sha256"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// former brings records of a history into the one form that they have in a proof. It
// leaves nothing that anybody could write otherwise: what is signed, and what the
// signed fixes. Give it the records in their order.
type former struct {
	process ao.ID
	nonce   uint64     // of the newest entry
	mode    aolog.Mode // of its epoch, as far as somebody has signed it
	// attested are hashes of attestations so far, which prove nothing a second time.
	attested map[ao.ID]bool
}

func newFormer(process ao.ID) *former { return &former{process: process, attested: map[ao.ID]bool{}} }

// form gives a record's form; keep is false for one that proves nothing.
func (f *former) form(r history.Record) (formed history.Record, keep bool, err error) {
	switch r.Kind {
	case history.KindEntry:
		return f.entry(r)
	case history.KindClaim:
		return r, false, fmt.Errorf("the assignment at nonce %d is known from hearsay alone", r.Nonce)
	case history.KindItem:
		item, err := r.Item()
		if err != nil {
			return r, false, fmt.Errorf("item at nonce %d: %w", r.Nonce, err)
		}
		return history.ItemRecord(f.nonce, item), true, nil
	case history.KindOpening:
		return f.opening(r)
	case history.KindAttest:
		a, err := r.Attested()
		if err != nil {
			return r, false, fmt.Errorf("attestations at nonce %d: %w", r.Nonce, err)
		}
		a.Process, a.First, a.Index = f.process, a.Nonce, 0
		formed := history.AttestedRecord(a)
		hash := ao.ID(sha256.Sum256(formed.Payload))
		again := f.attested[hash]
		f.attested[hash] = true
		return formed, len(a.Items) > 0 && !again, nil
	case history.KindModule:
		m, err := r.Module()
		if err == nil && m.Item == nil {
			err = fmt.Errorf("it comes without its signature: import it from a gateway that has the signed item")
		}
		if err != nil {
			return r, false, fmt.Errorf("module: %w", err)
		}
		return history.ModuleRecord(m), true, nil
	}
	return r, false, nil
}

func (f *former) entry(r history.Record) (history.Record, bool, error) {
	e, err := r.Entry()
	if err != nil {
		return r, false, fmt.Errorf("entry at nonce %d: %w", r.Nonce, err)
	}
	f.nonce = e.Nonce
	if item, err := e.Item(); e.Nonce == 0 && err == nil {
		if mode, err := aolog.ParseMode(item.Tags.Get(ao.TagSequencing)); err == nil {
			f.mode = mode
		}
	}
	return history.EntryRecord(e), true, nil
}

// opening keeps of the beginning of an epoch what the assignments and its signed order
// say. Without an order the mode is what it was.
func (f *former) opening(r history.Record) (history.Record, bool, error) {
	o, err := r.Opening()
	if err != nil {
		return r, false, fmt.Errorf("opening at nonce %d: %w", r.Nonce, err)
	}
	o.To, o.From, o.Before, o.Head.PromisedMS = 0, 0, aolog.Solo, 0
	if len(o.Order) == 0 {
		o.Mode = f.mode
	}
	f.mode = o.Mode
	return history.OpeningRecord(o), true, nil
}

// header is what a proof begins with, whoever had the history.
func header(process ao.ID) history.Header {
	return history.Header{Process: process, Source: history.Origin{Kind: originKind}}
}

const originKind = "proof"
