package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// A process with an Authority-Quorum gets a pushed message when so many of its
// authorities have delivered the same: with the delivery that completes the
// quorum. Every other delivery is an evaluation without effect whose output says
// why. It follows from the log alone, so all nodes and all replays agree.

// push is a pushed message: what it says, and whose delivery this is.
type push struct {
	key   ao.ID
	owner []byte // nil: nobody's that counts
}

// tally is what is known of the deliveries of one push.
type tally struct {
	by     uint64 // a bit for each authority that delivered it, by its place in the tags
	nonce  uint64 // of the first delivery, or of the one that the process got
	handed bool   // the process got it
}

// tallied is a tally to be stored.
type tallied struct {
	key ao.ID
	tally
}

// count says what a delivery changes, if anything, and why the process does not
// get the message; "": it does.
func (t tally) count(a ao.Authorities, owner []byte, nonce uint64) (after tally, changed bool, why string) {
	at := a.Find(owner)
	switch {
	case owner == nil || at < 0:
		return t, false, fmt.Sprintf("who signed it is none of the process's %d authorities", len(a.Addresses))
	case t.handed:
		return t, false, fmt.Sprintf("the process got the same push at nonce %d", t.nonce)
	case t.by == 0:
		t.nonce = nonce
	}
	known := t.by
	t.by |= 1 << at
	have := bits.OnesCount64(t.by)
	if have >= a.Quorum {
		return tally{by: t.by, nonce: nonce, handed: true}, true, ""
	}
	return t, t.by != known, fmt.Sprintf("%d of the %d authorities that it takes have delivered this push", have, a.Quorum)
}

// ruling says whether a process gets an entry's message.
type ruling struct {
	why    string   // not; "": it does
	change *tallied // what to remember
}

// rule decides about an entry; known gives tallies of the entries before.
func (e *Engine) rule(ctx context.Context, d *definition, entry aolog.Entry, known func(key ao.ID) (tally, error)) (ruling, error) {
	if e.options.Leave != nil {
		if why := e.options.Leave(entry.Process, entry.Nonce); why != "" {
			return ruling{why: why}, nil
		}
	}
	if d.authorities.Quorum == 0 || entry.Nonce == 0 {
		return ruling{}, nil
	}
	p, pushed, err := e.pushOf(ctx, entry)
	if err != nil || !pushed {
		return ruling{}, err
	}
	before, err := known(p.key)
	if err != nil {
		return ruling{}, fmt.Errorf("read who delivered the push at nonce %d of process %s: %w", entry.Nonce, entry.Process, err)
	}
	after, changed, why := before.count(d.authorities, p.owner, entry.Nonce)
	if !changed {
		return ruling{why: why}, nil
	}
	return ruling{why, &tallied{p.key, after}}, nil
}

// pushOf reads an entry as a push, which is whatever has a tag From-Process, also
// when it was assigned without its bytes.
func (e *Engine) pushOf(ctx context.Context, entry aolog.Entry) (p push, pushed bool, err error) {
	if !entry.IsBare() {
		item, err := itemOf(entry)
		if err != nil || !item.Tags.Has(ao.TagFromProcess) {
			return p, false, err
		}
		content := aolog.PushContent{Target: item.Target, Anchor: item.Anchor, Tags: item.Tags, Data: item.Data}
		return push{content.KeyOf(nil), item.Owner}, true, nil
	}
	tx, err := lookUp(ctx, entry, e.options.Items, false)
	if err != nil || !tx.Tags.Has(ao.TagFromProcess) {
		return p, false, err
	}
	if tx.BaseLayer {
		// Messengers sign data items. A transaction's data may never come, and
		// nobody must wait for it.
		return p, true, nil
	}
	if tx, err = lookUp(ctx, entry, e.options.Items, true); err != nil {
		return p, false, err
	}
	content := aolog.PushContent{Target: []byte(tx.Target), Anchor: []byte(tx.Anchor), Tags: tx.Tags, Data: tx.Data}
	return push{content.KeyOf(nil), tx.OwnerKey}, true, nil
}

// withheldResult is the result of a message that its process did not get. The
// reason stands where a client shows what a process says.
func withheldResult(why string) ao.Result {
	output, err := json.Marshal(map[string]string{"data": "not given to the process: " + why})
	if err != nil {
		panic("encode a text: " + err.Error())
	}
	return ao.Result{Output: output}
}

// withheld notes that a process did not get a message.
func (e *Engine) withheld(entry aolog.Entry, why string) {
	e.counters.withheld.Add(1)
	e.options.Logger.Debug().Str("pkg", "engine").Stringer("process", entry.Process).Uint64("nonce", entry.Nonce).Str("reason", why).
		Msg("a message is not given to its process")
}

// tallyOf gives what is known of a push: by the batch in hand, or else stored.
func (e *Engine) tallyOf(b *batch) func(ao.ID) (tally, error) {
	return func(key ao.ID) (tally, error) {
		if t, ok := b.tallies[key]; ok {
			return t, nil
		}
		return e.store.tally(b.process, key)
	}
}

// tally has the batch remember what its last evaluation changed.
func (b *batch) tally(change *tallied) {
	if change == nil {
		return
	}
	if b.tallies == nil {
		b.tallies = map[ao.ID]tally{}
	}
	b.tallies[change.key] = change.tally
	b.items[len(b.items)-1].push = change
}

const tallyBytes = 16

func (t tally) encode() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, t.by), t.nonce)
}

func decodeTally(b []byte, handed bool) (tally, error) {
	if len(b) != tallyBytes {
		return tally{}, fmt.Errorf("stored tally has %d bytes, not %d", len(b), tallyBytes)
	}
	return tally{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), handed}, nil
}

// tally gives what is stored of a push; nothing is stored of one that is new.
func (s *store) tally(process, key ao.ID) (tally, error) {
	for _, prefix := range []string{keyHanded, keyWaiting} {
		value, err := s.get(idsKey(prefix, process, key))
		if isMissing(err) {
			continue
		}
		if err != nil {
			return tally{}, err
		}
		return decodeTally(value, prefix == keyHanded)
	}
	return tally{}, nil
}

func putTally(txn *badger.Txn, process ao.ID, change *tallied) error {
	if !change.handed {
		return txn.Set(idsKey(keyWaiting, process, change.key), change.encode())
	}
	if err := txn.Delete(idsKey(keyWaiting, process, change.key)); err != nil {
		return err
	}
	return txn.Set(idsKey(keyHanded, process, change.key), change.encode())
}

// WaitingPush is a push that too few of a process's authorities have delivered.
type WaitingPush struct {
	Key   ao.ID    // names what it says
	Nonce uint64   // of the first delivery
	By    []string // addresses of who delivered it
}

// WaitingPushes lists the pushes that wait for more of a process's authorities,
// in order of key, after the given one.
func (e *Engine) WaitingPushes(process ao.ID, a ao.Authorities, after ao.ID, limit int) (waiting []WaitingPush, err error) {
	err = e.store.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: idKey(keyWaiting, process)})
		defer iterator.Close()
		start := idsKey(keyWaiting, process, after)
		if !after.IsZero() {
			start = append(start, 0)
		}
		for iterator.Seek(start); iterator.Valid() && len(waiting) < limit; iterator.Next() {
			value, err := iterator.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			t, err := decodeTally(value, false)
			if err != nil {
				return err
			}
			key := iterator.Item().Key()
			waiting = append(waiting, WaitingPush{ao.ID(key[len(key)-len(ao.ID{}):]), t.nonce, a.Named(t.by)})
		}
		return nil
	})
	return waiting, err
}
