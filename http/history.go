package http

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// historyType is the media type of history files.
const historyType = "application/vnd.wallaby.aolog"

const (
	// historyPage is how many entries are read from the log before they are sent,
	// so that a slow client does not hold up a read.
	historyPage      = 256
	historyPageBytes = 8 << 20
)

// history serves GET /{process}/history?from=: the process's log from a nonce on,
// byte for byte, as a history file. A failure after its beginning leaves it
// without its end.
func (s *su) history(w http.ResponseWriter, r *http.Request) {
	process, err := pathID(r, "process")
	var from uint64
	if text := r.URL.Query().Get("from"); err == nil && text != "" {
		if from, err = strconv.ParseUint(text, 10, 64); err != nil {
			err = ao.Errorf(ao.CodeInvalid, "from must be a nonce, not %.32q", text)
		}
	}
	var head aolog.Head
	if err == nil {
		head, err = s.Log.Head(r.Context(), process)
		err = notFound(err, "process %s is not known to this scheduler", process)
	}
	teller := &historyTeller{su: s, process: process, head: head}
	if err == nil {
		err = teller.prepare(r.Context(), from)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", historyType)
	teller.to, err = history.NewWriter(w, history.Header{Process: process, Source: history.Origin{Kind: "wallaby"}})
	for next := from; err == nil && next <= head.Nonce; {
		next, err = teller.page(r.Context(), next, head.Nonce)
	}
	if err == nil {
		err = teller.to.Close()
	}
	if err != nil {
		requestOf(r).failure = err
	}
}

// historyTeller writes a process's log with what belongs to each entry.
type historyTeller struct {
	*su
	process  ao.ID
	head     aolog.Head
	crons    bool // the process has some: what time passed is told, too
	to       *history.Writer
	openings []aolog.Opening
	attested []aolog.Attested
	// more says that there may be attestations after those.
	more bool
}

func (t *historyTeller) prepare(ctx context.Context, from uint64) (err error) {
	first, err := t.Log.Read(ctx, t.process, 0)
	if err != nil {
		return err
	}
	if !first.IsBare() {
		item, err := first.Item()
		if err != nil {
			return err
		}
		crons, err := ao.ParseCrons(item.Tags)
		t.crons = err == nil && len(crons) > 0
	}
	if t.Sequencing == nil {
		return nil
	}
	if t.openings, err = t.Sequencing.Openings(t.process); err != nil {
		return err
	}
	for len(t.openings) > 0 && t.openings[0].Head.Nonce < from {
		t.openings = t.openings[1:]
	}
	return t.attestationsFrom(from)
}

func (t *historyTeller) attestationsFrom(nonce uint64) (err error) {
	t.attested, err = t.Sequencing.Attestations(t.process, nonce, math.MaxUint64, attestationsMax)
	t.more = len(t.attested) == attestationsMax
	return err
}

// page writes some entries from a nonce on and gives where to go on.
func (t *historyTeller) page(ctx context.Context, from, to uint64) (next uint64, err error) {
	var entries []aolog.Entry
	size, full := 0, errors.New("page is full")
	err = t.Log.Range(ctx, t.process, from, to, func(e aolog.Entry) error {
		entries = append(entries, e)
		if size += len(e.ItemBytes); size > historyPageBytes || len(entries) == historyPage {
			return full
		}
		return nil
	})
	if err == nil && len(entries) == 0 {
		err = ao.Errorf(ao.CodeInternal, "process %s has no nonce %d", t.process, from)
	}
	if err != nil && !errors.Is(err, full) {
		return from, err
	}
	for i, e := range entries {
		if err := t.entry(ctx, e); err != nil {
			return from, err
		}
		if t.crons {
			if err := t.time(ctx, e, entries[i+1:]); err != nil {
				return from, err
			}
		}
	}
	return entries[len(entries)-1].Nonce + 1, nil
}

func (t *historyTeller) entry(ctx context.Context, e aolog.Entry) error {
	records := []history.Record{history.EntryRecord(e)}
	if e.IsBare() {
		if process, nonce, err := t.Log.Locate(ctx, e.Message); err == nil {
			if known, err := t.Log.Read(ctx, process, nonce); err == nil && !known.IsBare() {
				if item, err := known.Item(); err == nil {
					records = append(records, history.ItemRecord(e.Nonce, item))
				}
			}
		}
	}
	skips, err := t.Log.Skips(ctx, t.process, e.Nonce)
	if err != nil {
		return err
	}
	for _, skip := range skips {
		records = append(records, history.SkipRecord(skip))
	}
	for len(t.attested) > 0 && t.attested[0].Nonce <= e.Nonce {
		a := t.attested[0]
		a.Index = 0 // of the group's own log: it says nothing to others
		records = append(records, history.AttestedRecord(a))
		if t.attested = t.attested[1:]; len(t.attested) == 0 && t.more {
			if err := t.attestationsFrom(a.Nonce + 1); err != nil {
				return err
			}
		}
	}
	for len(t.openings) > 0 && t.openings[0].Head.Nonce == e.Nonce {
		records = append(records, history.OpeningRecord(t.openings[0]))
		t.openings = t.openings[1:]
	}
	for _, r := range records {
		if err := t.to.Write(r); err != nil {
			return err
		}
	}
	return nil
}

// blocksPage is how many blocks are asked for at once.
const blocksPage = 1024

// time tells what the process's crons saw pass behind an entry: up to the next, or as
// far as time is promised to have passed.
func (t *historyTeller) time(ctx context.Context, e aolog.Entry, next []aolog.Entry) error {
	passed := history.Time{Process: t.process, Nonce: e.Nonce, UntilMS: max(e.TimestampMS, t.head.PromisedMS)}
	switch {
	case len(next) > 0:
		passed.UntilMS = next[0].TimestampMS
	case e.Nonce < t.head.Nonce:
		following, err := t.Log.Read(ctx, t.process, e.Nonce+1)
		if err != nil {
			return err
		}
		passed.UntilMS = following.TimestampMS
	}
	for after := e.TimestampMS; t.Blocks != nil; {
		page, err := t.Blocks(ctx, after, passed.UntilMS, blocksPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		passed.Blocks = append(passed.Blocks, page...)
		after = page[len(page)-1].TimestampMS
	}
	return t.to.Write(history.TimeRecord(passed))
}
