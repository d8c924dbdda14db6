package http

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// suLimitMax bounds how many entries are asked for when a page has nothing new.
const suLimitMax = 8000

// suHistory reads from a reference scheduler. Its JSON has the fields that were
// signed, so the bytes are put together again, and their signatures say whether they
// are the same. They are not where data or a message's anchor is no text.
type suHistory struct {
	HistoryOptions
	// byTime says that the scheduler does not know from-nonce.
	byTime bool
}

// Origin names the scheduler.
func (h *suHistory) Origin() history.Origin { return history.Origin{Kind: SourceSU, URL: h.URL} }

// Records reads page after page, until one has nothing new.
//
// A page by time can end among entries of one millisecond, so the next begins a
// millisecond earlier. has_next_page is true too often with one of the reference's
// stores, never too rarely.
func (h *suHistory) Records(ctx context.Context, process ao.ID, from uint64, fn func(history.Record) error) error {
	next, limit := from, h.Limit
	var lastMS int64
	for {
		page, err := h.page(ctx, process, next, lastMS, limit)
		if err != nil {
			return err
		}
		news := 0
		for _, edge := range page.Edges {
			place, err := placeOf(edge.Node.Assignment.Tags)
			if err != nil {
				return ao.Errorf(ao.CodeUnprocessable, "assignment %s of %s: %w", edge.Node.Assignment.ID, h.URL, err)
			}
			lastMS = max(lastMS, place.TimestampMS)
			if place.Nonce < next {
				continue
			}
			if err := h.node(ctx, process, place, edge.Node, fn); err != nil {
				return err
			}
			news++
			next = place.Nonce + 1
		}
		switch {
		case news > 0:
			limit = h.Limit
			if !page.PageInfo.HasNextPage {
				return nil
			}
		case len(page.Edges) == 0, h.byTime && !page.PageInfo.HasNextPage:
			return nil
		case !h.byTime:
			h.byTime = true
		case limit >= suLimitMax:
			return ao.Errorf(ao.CodeUnprocessable, "%s gives nothing after nonce %d, and says that there is more", h.URL, next-1)
		default:
			limit *= 2
		}
	}
}

func (h *suHistory) page(ctx context.Context, process ao.ID, next uint64, lastMS int64, limit int) (page connect.ListJSON, err error) {
	query := url.Values{"process-id": {process.String()}, "limit": {strconv.Itoa(limit)}, "show-anchor": {""}}
	switch {
	case next == 0:
	case h.byTime && lastMS > 0:
		query.Set("from", strconv.FormatInt(lastMS-1, 10))
	case !h.byTime:
		query.Set("from-nonce", strconv.FormatUint(next-1, 10))
	}
	err = h.getJSON(ctx, "/"+process.String()+"?"+query.Encode(), &page)
	return page, err
}

// placeOf reads what every assignment says, whatever else is wrong with it.
func placeOf(tags dataitem.Tags) (a ao.Assignment, err error) {
	if a.Nonce, err = strconv.ParseUint(tags.Get(ao.TagNonce), 10, 64); err != nil {
		return a, fmt.Errorf("tag Nonce: %w", err)
	}
	if a.TimestampMS, err = strconv.ParseInt(tags.Get(ao.TagTimestamp), 10, 64); err != nil {
		return a, fmt.Errorf("tag Timestamp: %w", err)
	}
	a.Epoch, _ = strconv.ParseUint(tags.Get(ao.TagEpoch), 10, 64)
	a.BlockHeight, _ = strconv.ParseUint(tags.Get(ao.TagBlockHeight), 10, 64)
	_ = a.Message.UnmarshalText([]byte(tags.Get(ao.TagMessage)))
	_ = a.Process.UnmarshalText([]byte(tags.Get(ao.TagProcess)))
	return a, nil
}

// node tells one entry, and what is known of it no better.
func (h *suHistory) node(ctx context.Context, process ao.ID, place ao.Assignment, node connect.MessageJSON, fn func(history.Record) error) error {
	if place.Nonce == 0 && !place.Message.IsZero() {
		if err := h.unassigned(ctx, process, fn); err != nil {
			return err
		}
	}
	assignment, assignmentErr := h.assignment(ctx, node.Assignment)
	var item *dataitem.Item
	var itemErr error
	var more []history.Record
	switch {
	case node.Message != nil:
		if item, itemErr = h.message(ctx, node.Message); itemErr != nil {
			more = append(more, history.NoteRecord(place.Nonce, "item %s is not known as it was signed: %v", node.Message.ID, itemErr))
		}
	case !place.Message.IsZero():
		more = append(more, h.bare(ctx, place.Nonce, place.Message))
	}
	entry := aolog.Entry{Assignment: place}
	if item != nil {
		entry.ItemBytes = item.Bytes()
	}
	var record history.Record
	if assignment == nil || node.Message != nil && item == nil {
		record = history.ClaimRecord(told(place, node), entry.ItemBytes, itemErr == nil)
	} else {
		entry.AssignmentBytes = assignment.Bytes()
		record = history.RebuiltRecord(entry, assignmentErr == nil, itemErr == nil)
	}
	for _, r := range append([]history.Record{record}, more...) {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// told makes a claim of an entry whose bytes cannot be had at all.
func told(place ao.Assignment, node connect.MessageJSON) history.Claim {
	c := history.Claim{
		Process: place.Process, Message: place.Message, Epoch: place.Epoch, Nonce: place.Nonce,
		BlockHeight: place.BlockHeight, TimestampMS: place.TimestampMS, Scheduler: node.Assignment.Owner.Address,
	}
	_ = c.ID.UnmarshalText([]byte(node.Assignment.ID))
	c.Told, _ = json.Marshal(node) // these types always encode
	return c
}

// assignment puts an assignment together, or gets it from elsewhere. With an error
// there may be one that is not what was signed.
func (h *suHistory) assignment(ctx context.Context, a connect.AssignmentJSON) (*dataitem.Item, error) {
	item, err := rebuild(itemFields{owner: a.Owner.Key, signature: a.Signature, anchor: a.Anchor, tags: a.Tags})
	if err == nil {
		return item, nil
	}
	if id, idErr := ao.ParseID(a.ID); idErr == nil {
		if exact, exactErr := h.exact(ctx, id); exactErr == nil {
			return exact, nil
		}
	}
	return item, err
}

// unassigned tells the item of a process that has no assignment of its own.
func (h *suHistory) unassigned(ctx context.Context, process ao.ID, fn func(history.Record) error) error {
	var told processJSON
	err := h.getJSON(ctx, "/processes/"+process.String(), &told)
	var item *dataitem.Item
	if err == nil {
		item, err = rebuild(itemFields{told.Owner.Key, told.Signature, told.Anchor, told.Target, told.Tags, told.Data})
	}
	if err != nil {
		if exact, exactErr := h.exact(ctx, process); exactErr == nil {
			item, err = exact, nil
		}
	}
	if err != nil {
		return fn(history.NoteRecord(0, "the process is not known as it was signed: %v", err))
	}
	return fn(history.ItemRecord(0, item))
}

// message puts a message together, or gets it from elsewhere. With an error there
// may be an item that is not what was signed.
func (h *suHistory) message(ctx context.Context, m *connect.ItemJSON) (*dataitem.Item, error) {
	item, err := rebuild(itemFields{m.Owner.Key, m.Signature, m.Anchor, m.Target, m.Tags, m.Data})
	if err == nil {
		return item, nil
	}
	id, idErr := ao.ParseID(m.ID)
	if idErr != nil {
		return item, errors.Join(err, idErr)
	}
	exact, exactErr := h.exact(ctx, id)
	if exactErr == nil {
		return exact, nil
	}
	if m.Data == nil || strings.ContainsRune(*m.Data, '\uFFFD') {
		err = errors.New("its data is no text, which is all that the scheduler tells")
	}
	return item, fmt.Errorf("%w; %w", err, exactErr)
}

// itemFields are an item's fields as JSON has them.
type itemFields struct {
	owner, signature string
	anchor, target   *string
	tags             dataitem.Tags
	data             *string
}

// rebuild puts an item together. With an error there may be one that is not what
// was signed.
func rebuild(f itemFields) (*dataitem.Item, error) {
	owner, err := decodeKey(f.owner)
	if err != nil {
		return nil, fmt.Errorf("its owner's key: %w", err)
	}
	signature, err := decodeKey(f.signature)
	if err != nil {
		return nil, fmt.Errorf("its signature: %w", err)
	}
	draft := dataitem.Draft{Tags: f.tags}
	if f.target != nil && *f.target != "" {
		target, err := ao.ParseID(*f.target)
		if err != nil {
			return nil, fmt.Errorf("its target: %w", err)
		}
		draft.Target = target[:]
	}
	if f.anchor != nil {
		draft.Anchor = decodeAnchor(*f.anchor)
	}
	if f.data != nil {
		draft.Data = []byte(*f.data)
	}
	return dataitem.Rebuild(draft, owner, signature)
}

// decodeAnchor reads an anchor's 32 bytes as text, or their base64url.
func decodeAnchor(text string) []byte {
	if len(text) == dataitem.IDLength {
		if b, err := base64.RawURLEncoding.DecodeString(text); err == nil {
			return b
		}
	}
	return []byte(text)
}

// decodeKey reads base64 of either alphabet, padded or not.
func decodeKey(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	if strings.ContainsAny(text, "+/") {
		return base64.RawStdEncoding.DecodeString(text)
	}
	return base64.RawURLEncoding.DecodeString(text)
}
