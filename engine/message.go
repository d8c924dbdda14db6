package engine

import (
	"encoding/base64"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// appendItemMessage appends the JSON of a message whose item is in the log, as
// the guest gets it. The process itself is the message at nonce 0.
//
// Key order, absent keys and null are the reference compute unit's: a guest
// that copies or prints its message would otherwise come to another state.
func appendItemMessage(b []byte, entry aolog.Entry, item *dataitem.Item) []byte {
	w := messageWriter{b: append(b, '{')}
	w.text("Id", item.ID().String())
	w.text("Signature", base64.RawURLEncoding.EncodeToString(item.Signature))
	w.key("Data")
	// A scheduler shows a process whose data is not text without data, but a
	// message with the bytes replaced.
	if entry.Nonce == 0 && !utf8.Valid(item.Data) {
		w.b = append(w.b, "null"...)
	} else {
		w.b = appendJSONText(w.b, item.Data)
	}
	owner := item.Address()
	w.text("Owner", owner)
	w.text("Target", entry.Process.String())
	w.key("Anchor")
	if anchor, ok := item.AnchorText(); ok {
		w.b = appendJSONText(w.b, anchor)
	} else {
		w.b = append(w.b, "null"...)
	}
	from, forwarded := item.Tags.Lookup(ao.TagFromProcess)
	if !forwarded {
		from = owner
	}
	w.text("From", from)
	if forwarded {
		w.text("Forwarded-By", owner)
	}
	w.tags(item.Tags.Without("From", "Owner"))
	w.place(entry.Assignment)
	return w.end(false, false)
}

// appendBareMessage appends the JSON of a message that was assigned without
// its bytes. The guest recognises it by its target.
func appendBareMessage(b []byte, entry aolog.Entry, tx TxMeta) []byte {
	excluded := func(field string) bool { return slices.Contains(entry.Exclude, field) }
	w := messageWriter{b: append(b, '{')}
	w.text("Id", entry.Message.String())
	if !excluded("Signature") {
		w.text("Signature", base64.RawURLEncoding.EncodeToString(tx.Signature))
	}
	if !excluded("Data") {
		w.key("Data")
		w.b = appendJSONText(w.b, tx.Data)
	}
	w.text("Owner", tx.Owner)
	w.text("Target", tx.Target)
	if !excluded("Anchor") {
		w.text("Anchor", tx.Anchor)
	}
	from, forwarded := tx.Tags.Lookup(ao.TagFromProcess)
	if !forwarded {
		from = tx.Owner
	}
	w.text("From", from)
	if !excluded("Tags") {
		w.tags(tx.Tags)
	}
	w.place(entry.Assignment)
	return w.end(false, false)
}

// appendTickMessage appends the JSON of a cron's message, which nobody has signed
// and which comes from the process's owner.
func appendTickMessage(b []byte, process *dataitem.Item, t tick) []byte {
	w := messageWriter{b: append(b, '{')}
	owner := process.Address()
	w.text("Owner", owner)
	w.text("Target", process.ID().String())
	w.text("From", owner)
	w.tags(t.cron.Tags)
	w.integer("Timestamp", t.timestampMS)
	w.integer("Block-Height", int64(t.blockHeight))
	return w.end(true, false)
}

// DryRunMessage is an unsigned message to try on a copy of a process. Nil
// fields are absent for the guest, or come from the last evaluation.
type DryRunMessage struct {
	ID          *string
	Signature   *string
	Data        *string
	Owner       string // required
	Target      *string
	Anchor      *string
	Tags        dataitem.Tags
	TimestampMS *int64
	BlockHeight *uint64
}

func (m DryRunMessage) check() error {
	if m.Owner == "" {
		return ao.Errorf(ao.CodeInvalid, "a dry run needs an Owner: the address that the message would come from")
	}
	return nil
}

// appendDryRunMessage appends the JSON of a dry run in a state that was
// reached at the given time and height.
func appendDryRunMessage(b []byte, process ao.ID, m DryRunMessage, timestampMS int64, blockHeight uint64) []byte {
	w := messageWriter{b: append(b, '{')}
	w.optional("Id", m.ID)
	w.optional("Signature", m.Signature)
	w.optional("Data", m.Data)
	w.text("Owner", m.Owner)
	target := process.String()
	if m.Target != nil {
		target = *m.Target
	}
	w.text("Target", target)
	w.optional("Anchor", m.Anchor)
	from, forwarded := m.Tags.Lookup(ao.TagFromProcess)
	if !forwarded {
		from = m.Owner
	}
	w.text("From", from)
	w.tags(m.Tags)
	if m.TimestampMS != nil {
		timestampMS = *m.TimestampMS
	}
	if m.BlockHeight != nil {
		blockHeight = *m.BlockHeight
	}
	w.integer("Timestamp", timestampMS)
	w.integer("Block-Height", int64(blockHeight))
	return w.end(false, true)
}

// appendEnv appends the JSON of the surroundings that every message of a
// process gets.
func appendEnv(b []byte, process *dataitem.Item, module Module) []byte {
	b = append(b, `{"Process":`...)
	b = appendParty(b, process.ID(), process.Address(), process.Tags)
	b = append(b, `,"Module":`...)
	b = appendParty(b, module.ID, module.Owner, module.Tags)
	return append(b, '}')
}

func appendParty(b []byte, id ao.ID, owner string, tags dataitem.Tags) []byte {
	b = append(b, `{"Id":`...)
	b = appendJSONText(b, id.String())
	b = append(b, `,"Owner":`...)
	b = appendJSONText(b, owner)
	b = append(b, `,"Tags":`...)
	b = appendJSONTags(b, tags)
	return append(b, '}')
}

// messageWriter appends the members of one JSON object.
type messageWriter struct {
	b     []byte
	later bool
}

func (w *messageWriter) key(name string) {
	if w.later {
		w.b = append(w.b, ',')
	}
	w.later = true
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *messageWriter) text(name, value string) {
	w.key(name)
	w.b = appendJSONText(w.b, value)
}

func (w *messageWriter) optional(name string, value *string) {
	if value != nil {
		w.text(name, *value)
	}
}

func (w *messageWriter) integer(name string, value int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, value, 10)
}

func (w *messageWriter) tags(tags dataitem.Tags) {
	w.key("Tags")
	w.b = appendJSONTags(w.b, tags)
}

// place writes where the message stands in its process's log. Heights must be
// integers: aos makes them part of its random seed.
func (w *messageWriter) place(a ao.Assignment) {
	w.integer("Epoch", int64(a.Epoch))
	w.integer("Nonce", int64(a.Nonce))
	w.integer("Timestamp", a.TimestampMS)
	w.integer("Block-Height", int64(a.BlockHeight))
	w.text("Hash-Chain", a.HashChain.String())
}

func (w *messageWriter) end(cron, readOnly bool) []byte {
	w.key("Cron")
	w.b = strconv.AppendBool(w.b, cron)
	w.key("Read-Only")
	return append(strconv.AppendBool(w.b, readOnly), '}')
}
