package settlement

import (
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// scheduler is whose key the log of a world is signed with.
func scheduler(t *testing.T) ao.ID { return dataitem.AddressOf(logtest.Signer(t, 1).Owner()) }

// history puts a process with messages into the log, and on the weave what keep
// lets through.
func (w *world) history(messages int, keep func(nonce uint64, it *dataitem.Item) *dataitem.Item) (process ao.ID, entries []aolog.Entry) {
	w.Helper()
	for process = range w.fill(1, messages) {
	}
	err := w.log.Range(w.Context(), process, 0, 1<<60, func(e aolog.Entry) error {
		entries = append(entries, e)
		items, err := EntryItems(e)
		if err != nil {
			return err
		}
		for _, it := range items {
			if keep != nil {
				it = keep(e.Nonce, it)
			}
			if it == nil {
				continue
			}
			if _, err := w.gateway.PutItem(w.Context(), it); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return process, entries
}

func (w *world) recover(process ao.ID, from uint64, entries []aolog.Entry) (places []Recovered, err error) {
	w.Helper()
	var head aolog.Head
	if from > 0 {
		head = aolog.HeadOf(entries[from-1])
	}
	err = NewArchive(w.client).Recover(w.Context(), scheduler(w.T), process, head, from > 0, func(p Recovered) error {
		places = append(places, p)
		return nil
	})
	return places, err
}

func isAssignment(it *dataitem.Item) bool { return it.Tags.Contains(ao.TagType, ao.TypeAssignment) }

func TestAProcessIsRecoveredAsItWas(t *testing.T) {
	w := newWorld(t)
	process, entries := w.history(130, nil)
	for _, from := range []uint64{0, 1, 50, 77, 131} {
		places, err := w.recover(process, from, entries)
		if err != nil || len(places) != 131-int(from) {
			t.Fatalf("from %d: %d places, %v", from, len(places), err)
		}
		for i, place := range places {
			want := entries[int(from)+i]
			if string(place.Entry.AssignmentBytes) != string(want.AssignmentBytes) || string(place.Entry.ItemBytes) != string(want.ItemBytes) {
				t.Errorf("from %d: nonce %d is another", from, want.Nonce)
			}
		}
	}
	list, err := NewArchive(w.client).Processes(t.Context(), scheduler(t))
	if err != nil || len(list) != 1 || list[0] != process {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := NewArchive(w.client).Processes(t.Context(), ao.ID{1}); err != nil || len(list) != 0 {
		t.Errorf("another scheduler has %v, %v", list, err)
	}
}

func TestWhatIsMissingOrGivenTwiceIsNamed(t *testing.T) {
	resigned := func(change func(*ao.Assignment)) func(*testing.T, *dataitem.Item) *dataitem.Item {
		return func(t *testing.T, it *dataitem.Item) *dataitem.Item {
			a, err := ao.ParseAssignment(it)
			if err != nil {
				t.Fatal(err)
			}
			change(&a)
			signed, err := dataitem.Create(dataitem.Draft{Anchor: make([]byte, 32), Tags: a.Tags()}, logtest.Signer(t, 1))
			if err != nil {
				t.Fatal(err)
			}
			return signed
		}
	}
	for name, c := range map[string]struct {
		at      uint64
		replace func(t *testing.T, it *dataitem.Item) *dataitem.Item // of the assignment there
		message bool                                                 // the message there is left out
		says    string
	}{
		"assignment":           {at: 3, replace: func(*testing.T, *dataitem.Item) *dataitem.Item { return nil }, says: "nonce 3"},
		"end of a window":      {at: 49, replace: func(*testing.T, *dataitem.Item) *dataitem.Item { return nil }, says: "nonce 49"},
		"begin of a window":    {at: 50, replace: func(*testing.T, *dataitem.Item) *dataitem.Item { return nil }, says: "nonce 50"},
		"message":              {at: 7, message: true, says: "nonce 7"},
		"another hash chain":   {at: 60, replace: resigned(func(a *ao.Assignment) { a.HashChain = ao.ID{1} }), says: "nonce 60"},
		"another assignment":   {at: 9, replace: resigned(func(a *ao.Assignment) { a.BlockHeight++ }), says: "nonce 10"},
		"another message's id": {at: 9, replace: resigned(func(a *ao.Assignment) { a.Message = ao.ID{1} }), says: "nonce 9"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			process, entries := w.history(70, func(nonce uint64, it *dataitem.Item) *dataitem.Item {
				switch {
				case nonce == c.at && isAssignment(it) && c.replace != nil:
					return c.replace(t, it)
				case nonce == c.at && !isAssignment(it) && c.message:
					return nil
				}
				return it
			})
			if _, err := w.recover(process, 0, entries); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
	w := newWorld(t)
	process, entries := w.history(5, nil)
	first, err := dataitem.Parse(entries[2].AssignmentBytes)
	if err == nil {
		_, err = w.gateway.PutItem(t.Context(), resigned(func(*ao.Assignment) {})(t, first))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.recover(process, 0, entries); err == nil || !strings.Contains(err.Error(), "two assignments for nonce 2") {
		t.Errorf("two assignments for one nonce: %v", err)
	}
}

func TestWhatWasAssignedByNameIsRecoveredApart(t *testing.T) {
	w := newWorld(t)
	process, _ := w.history(1, nil)
	tx := &arweave.Tx{Tags: dataitem.Tags{{Name: "Type", Value: "Message"}, {Name: "Data-Protocol", Value: "ao"}}, Quantity: "0", Reward: "0"}
	tx.SetData([]byte("of the base layer"))
	note, err := dataitem.Create(dataitem.Draft{Data: []byte("a note")}, logtest.Signer(t, 4))
	if err == nil {
		err = tx.Sign(rsaWallet(t))
	}
	if err == nil {
		_, err = w.gateway.PutTx(t.Context(), tx)
	}
	if err == nil {
		_, err = w.gateway.PutItem(t.Context(), note)
	}
	for _, id := range []ao.ID{tx.ID, note.ID()} {
		var entry aolog.Entry
		if err == nil {
			entry, _, err = w.log.Append(t.Context(), aolog.Proposal{Process: process, Message: id})
		}
		if err == nil {
			var it *dataitem.Item
			if it, err = dataitem.Parse(entry.AssignmentBytes); err == nil {
				_, err = w.gateway.PutItem(t.Context(), it)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	places, err := w.recover(process, 0, nil)
	if err != nil || len(places) != 4 {
		t.Fatalf("%d places, %v", len(places), err)
	}
	if !places[2].Entry.IsBare() || places[2].Tx == nil || string(places[2].Tx.Data) != "of the base layer" || places[2].Item != nil {
		t.Errorf("the transaction: %+v", places[2])
	}
	if !places[3].Entry.IsBare() || places[3].Item == nil || places[3].Item.ID() != note.ID() || places[3].Tx != nil {
		t.Errorf("the note: %+v", places[3])
	}
	if places[1].Entry.IsBare() || places[1].Item != nil {
		t.Errorf("the message: %+v", places[1])
	}
}
