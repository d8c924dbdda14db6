package history

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"

	"github.com/wallaby-ao/wallaby/ao"
)

// Time is what a process with crons saw pass behind a place of its log: up to when its
// ticks had been run there, and the blocks of the weave meanwhile. No signature covers
// it: anybody can look the blocks up.
type Time struct {
	Process ao.ID  `json:"process"`
	Nonce   uint64 `json:"nonce"`
	// UntilMS is the time of the next place; behind the newest, up to when time was
	// promised to have passed.
	UntilMS int64   `json:"until"`
	Blocks  []Block `json:"blocks,omitempty"`
}

// Block is a block of the weave, in JSON as [height, milliseconds].
type Block struct {
	Height      uint64
	TimestampMS int64
}

// MarshalJSON writes [height, milliseconds].
func (b Block) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d]", b.Height, b.TimestampMS), nil
}

// UnmarshalJSON reads [height, milliseconds].
func (b *Block) UnmarshalJSON(text []byte) error {
	var parts []json.Number
	err := json.Unmarshal(text, &parts)
	if err == nil && len(parts) != 2 {
		err = fmt.Errorf("a block has %d parts, not 2", len(parts))
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(parts[0]), &b.Height); err != nil {
		return err
	}
	return json.Unmarshal([]byte(parts[1]), &b.TimestampMS)
}

// TimeRecord makes a record of time that passed.
func TimeRecord(t Time) Record {
	return Record{Kind: KindTime, Nonce: t.Nonce, Payload: encodeJSON(t)}
}

// Time reads a record of time that passed.
func (r Record) Time() (Time, error) { return decodeJSON[Time](r) }

// HasTime says whether the file says of every place what time passed behind it.
func (l *Log) HasTime() bool { return l.times == l.file.end.Entries && l.timed }

// Blocks lists blocks with afterMS < TimestampMS < beforeMS in order, at most limit,
// and those that have the timestamp of the last.
func (l *Log) Blocks(_ context.Context, afterMS, beforeMS int64, limit int) ([]Block, error) {
	first := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].TimestampMS > afterMS })
	last := first
	for last < len(l.blocks) && l.blocks[last].TimestampMS < beforeMS &&
		(last-first < limit || l.blocks[last].TimestampMS == l.blocks[last-1].TimestampMS) {
		last++
	}
	return l.blocks[first:last], nil
}

// readTime takes up what time passed.
func (l *Log) readTime() error {
	return l.file.Others(KindTime, func(r Record) error {
		t, err := r.Time()
		if err != nil {
			return fmt.Errorf("read what time passed behind nonce %d: %w", r.Nonce, err)
		}
		l.times++
		l.blocks = append(l.blocks, t.Blocks...)
		if t.Nonce == l.head.Nonce {
			l.timed, l.head.PromisedMS = true, t.UntilMS
		}
		return nil
	})
}

// time compares a record of time with the place that it stands behind.
func (c *checker) time(n *inspection) {
	t := n.time
	at, ok := c.places[t.Nonce]
	rising := slices.IsSortedFunc(t.Blocks, func(a, b Block) int {
		if a.Height < b.Height && a.TimestampMS <= b.TimestampMS {
			return -1
		}
		return 1
	})
	switch {
	case t.Process != c.header.Process:
		c.wrong(t.Nonce, WhatTime, c.header.Process.String(), "it is about process %s", t.Process)
		return
	case !ok || t.Nonce != c.next-1:
		c.wrong(t.Nonce, WhatTime, fmt.Sprintf("nonce %d", c.next-1), "it is about nonce %d", t.Nonce)
		return
	case at.sound && t.UntilMS < at.timestamp:
		c.wrong(t.Nonce, WhatTime, fmt.Sprintf("%d or later", at.timestamp), "time until %d", t.UntilMS)
	case !rising:
		c.wrong(t.Nonce, WhatTime, "blocks in their order", "%d blocks that are not", len(t.Blocks))
	case len(t.Blocks) > 0 && at.sound && t.Blocks[0].TimestampMS <= at.timestamp,
		len(t.Blocks) > 0 && t.Blocks[len(t.Blocks)-1].TimestampMS >= t.UntilMS:
		c.wrong(t.Nonce, WhatTime, fmt.Sprintf("blocks between %d and %d", at.timestamp, t.UntilMS), "blocks from %d to %d",
			t.Blocks[0].TimestampMS, t.Blocks[len(t.Blocks)-1].TimestampMS)
	}
	c.until = &t
}

// timed compares the time that passed behind a place with the time of the next.
func (c *checker) timed(a ao.Assignment) {
	if t := c.until; t != nil && t.Nonce+1 == a.Nonce && t.UntilMS != a.TimestampMS {
		c.wrong(t.Nonce, WhatTime, fmt.Sprintf("until %d, when nonce %d came", a.TimestampMS, a.Nonce), "%d", t.UntilMS)
	}
	c.until = nil
}
