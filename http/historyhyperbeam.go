package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
)

// hyperbeamHistory reads a HyperBEAM node's schedule as aos-2 JSON. It has messages
// as they were signed, if they are data items and the node tells the key. It leaves
// out what was signed of assignments, so the order is hearsay.
type hyperbeamHistory struct{ HistoryOptions }

type (
	hbSchedule struct {
		PageInfo struct {
			HasNextPage bool `json:"has_next_page"`
		} `json:"page_info"`
		Edges []struct {
			Node struct {
				Message    *hbItem `json:"message"`
				Assignment hbItem  `json:"assignment"`
			} `json:"node"`
		} `json:"edges"`
	}
	// hbItem is a message in the form that processes see.
	hbItem struct {
		ID        string        `json:"Id"`
		Anchor    string        `json:"Anchor"`
		Owner     string        `json:"Owner"`
		Tags      dataitem.Tags `json:"Tags"`
		Target    string        `json:"Target"`
		Data      *string       `json:"Data"`
		Signature string        `json:"Signature"`
		PublicKey string        `json:"PublicKey"`
	}
)

// Origin names the node.
func (h *hyperbeamHistory) Origin() history.Origin {
	return history.Origin{Kind: SourceHyperBEAM, URL: h.URL}
}

// Records reads page after page, until one has nothing new.
func (h *hyperbeamHistory) Records(ctx context.Context, process ao.ID, from uint64, fn func(history.Record) error) error {
	for next := from; ; {
		query := url.Values{
			"target": {process.String()}, "from": {strconv.FormatUint(next, 10)},
			"to": {strconv.FormatUint(next+uint64(h.Limit)-1, 10)}, "accept": {"application/aos-2"},
		}
		var page hbSchedule
		if err := h.getJSON(ctx, "/~scheduler@1.0/schedule?"+query.Encode(), &page); err != nil {
			return err
		}
		begun := next
		for _, edge := range page.Edges {
			claim, err := hearsay(process, edge.Node.Assignment, edge.Node.Message)
			if err != nil {
				return ao.Errorf(ao.CodeUnprocessable, "%s: %w", h.URL, err)
			}
			if claim.Nonce < next {
				continue
			}
			if err := h.tell(ctx, claim, edge.Node.Message, fn); err != nil {
				return err
			}
			next = claim.Nonce + 1
		}
		if next == begun || !page.PageInfo.HasNextPage && next < begun+uint64(h.Limit) {
			return nil
		}
	}
}

// hearsay reads an assignment.
func hearsay(process ao.ID, assignment hbItem, message *hbItem) (c history.Claim, err error) {
	c = history.Claim{Process: process, Scheduler: assignment.Owner}
	_ = c.ID.UnmarshalText([]byte(assignment.ID))
	name := lookupFold(assignment.Tags, ao.TagMessage)
	if message != nil {
		name = message.ID
	}
	_ = c.Message.UnmarshalText([]byte(name))
	number := func(to *uint64, names ...string) {
		if text := lookupFold(assignment.Tags, names...); err == nil {
			if *to, err = strconv.ParseUint(text, 10, 64); err != nil {
				err = fmt.Errorf("assignment %s: tag %s: %w", assignment.ID, names[0], err)
			}
		}
	}
	var ms uint64
	number(&c.Nonce, "Slot", ao.TagNonce)
	number(&c.BlockHeight, ao.TagBlockHeight)
	number(&ms, ao.TagTimestamp)
	c.TimestampMS = int64(ms)
	c.Told, _ = json.Marshal(assignment)
	return c, err
}

// lookupFold gives the first value under any of the names, in any letter case.
func lookupFold(tags dataitem.Tags, names ...string) string {
	for _, name := range names {
		for _, tag := range tags {
			if strings.EqualFold(tag.Name, name) {
				return tag.Value
			}
		}
	}
	return ""
}

func (h *hyperbeamHistory) tell(ctx context.Context, claim history.Claim, message *hbItem, fn func(history.Record) error) error {
	var item []byte
	var note history.Record
	switch {
	case message == nil:
		note = h.bare(ctx, claim.Nonce, claim.Message)
	default:
		signed, err := h.message(ctx, message)
		if err != nil {
			claim.Told, _ = json.Marshal(map[string]any{"assignment": claim.Told, "message": message})
			note = history.NoteRecord(claim.Nonce, "item %s is not known as it was signed: %v", message.ID, err)
			break
		}
		item = signed.Bytes()
	}
	if err := fn(history.ClaimRecord(claim, item, true)); err != nil {
		return err
	}
	if note.Kind == 0 {
		return nil
	}
	return fn(note)
}

// message puts a message together, or gets it from elsewhere.
func (h *hyperbeamHistory) message(ctx context.Context, m *hbItem) (*dataitem.Item, error) {
	err := errors.New("the node does not tell its key")
	if m.PublicKey != "" {
		fields := itemFields{owner: m.PublicKey, signature: m.Signature, target: &m.Target, tags: m.Tags, data: m.Data}
		if m.Anchor != "" {
			fields.anchor = &m.Anchor
		}
		var item *dataitem.Item
		if item, err = rebuild(fields); err == nil {
			return item, nil
		}
	}
	id, idErr := ao.ParseID(m.ID)
	if idErr != nil {
		return nil, errors.Join(err, idErr)
	}
	item, exactErr := h.exact(ctx, id)
	if exactErr != nil {
		return nil, fmt.Errorf("%w; %w", err, exactErr)
	}
	return item, nil
}
