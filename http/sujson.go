package http

import (
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// The shapes of the scheduler's JSON, as the reference's clients read them.
// Timestamps are text in some places and numbers in others.
type (
	suInfo struct {
		Timestamp string `json:"timestamp"`
		Address   string `json:"address"`
	}
	suTimestamp struct {
		Timestamp   string `json:"timestamp"`
		BlockHeight string `json:"block_height"`
	}
	suPosted struct {
		Timestamp int64 `json:"timestamp"`
		ID        ao.ID `json:"id"`
	}

	// OwnerJSON is an owner: the address that gateways index, and the key.
	OwnerJSON struct {
		Address string `json:"address"`
		Key     string `json:"key"`
	}

	// ItemJSON is the message half of an entry.
	ItemJSON struct {
		ID        string        `json:"id"`
		Owner     OwnerJSON     `json:"owner"`
		Data      *string       `json:"data"`
		Tags      dataitem.Tags `json:"tags"`
		Signature string        `json:"signature"`
		Anchor    *string       `json:"anchor"`
		Target    *string       `json:"target"`
	}

	// AssignmentJSON is the assignment half of an entry.
	AssignmentJSON struct {
		ID        string        `json:"id"`
		Owner     OwnerJSON     `json:"owner"`
		Tags      dataitem.Tags `json:"tags"`
		Signature string        `json:"signature"`
		Anchor    *string       `json:"anchor"`
		Target    string        `json:"target"`
	}

	// MessageJSON is one entry of a log. Message is null for an item that is
	// assigned by name.
	MessageJSON struct {
		Message    *ItemJSON      `json:"message"`
		Assignment AssignmentJSON `json:"assignment"`
	}

	// EdgeJSON is one entry of a page.
	EdgeJSON struct {
		Node   MessageJSON `json:"node"`
		Cursor string      `json:"cursor"`
	}

	// ListJSON is a page of a log.
	ListJSON struct {
		PageInfo struct {
			HasNextPage bool `json:"has_next_page"`
		} `json:"page_info"`
		Edges []EdgeJSON `json:"edges"`
	}

	processJSON struct {
		ProcessID string        `json:"process_id"`
		Block     string        `json:"block"`
		Owner     OwnerJSON     `json:"owner"`
		Tags      dataitem.Tags `json:"tags"`
		Timestamp int64         `json:"timestamp"`
		Data      *string       `json:"data"`
		Anchor    *string       `json:"anchor"`
		Signature string        `json:"signature"`
		Target    *string       `json:"target"`
	}
)

func ownerShape(item *dataitem.Item) OwnerJSON {
	return OwnerJSON{Address: item.OwnerAddress().String(), Key: base64.RawURLEncoding.EncodeToString(item.Owner)}
}

func tagsShape(tags dataitem.Tags) dataitem.Tags {
	if tags == nil {
		return dataitem.Tags{}
	}
	return tags
}

// messageShape gives an entry as the reference shows it: a message's data is
// text with replacements, a process's is null when it is no text; a missing
// target is "" on a message and null on a process.
func messageShape(entry aolog.Entry, showAnchor bool) (MessageJSON, error) {
	assignment, err := dataitem.Parse(entry.AssignmentBytes)
	if err != nil {
		return MessageJSON{}, fmt.Errorf("assignment %s: %w", entry.ID, err)
	}
	shape := MessageJSON{Assignment: AssignmentJSON{
		ID: entry.ID.String(), Owner: ownerShape(assignment), Tags: tagsShape(assignment.Tags),
		Signature: base64.RawURLEncoding.EncodeToString(assignment.Signature),
		Anchor:    anchorShape(assignment),
	}}
	if showAnchor && shape.Assignment.Anchor == nil && assignment.Anchor != nil {
		text := base64.RawURLEncoding.EncodeToString(assignment.Anchor)
		shape.Assignment.Anchor = &text
	}
	if entry.IsBare() {
		return shape, nil
	}
	item, err := entry.Item()
	if err != nil {
		return MessageJSON{}, fmt.Errorf("message %s: %w", entry.Message, err)
	}
	message := ItemJSON{
		ID: item.ID().String(), Owner: ownerShape(item), Tags: tagsShape(item.Tags),
		Signature: base64.RawURLEncoding.EncodeToString(item.Signature), Anchor: anchorShape(item),
	}
	if entry.Message.IsZero() {
		message.Data, message.Target = textShape(item.Data), processTarget(item)
	} else {
		data, target := dataitem.Text(item.Data), ""
		if item.Target != nil {
			target = item.TargetID().String()
		}
		message.Data, message.Target = &data, &target
	}
	shape.Message = &message
	return shape, nil
}

func processTarget(item *dataitem.Item) *string {
	if item.Target == nil {
		return nil
	}
	target := item.TargetID().String()
	return &target
}

func anchorShape(item *dataitem.Item) *string {
	text, ok := item.AnchorText()
	if !ok {
		return nil
	}
	return &text
}

func textShape(b []byte) *string {
	if !utf8.Valid(b) {
		return nil
	}
	text := string(b)
	return &text
}

func processShape(entry aolog.Entry) (processJSON, error) {
	item, err := entry.Item()
	if err != nil {
		return processJSON{}, fmt.Errorf("process %s: %w", entry.Process, err)
	}
	return processJSON{
		ProcessID: entry.Process.String(), Block: fmt.Sprintf("%012d", entry.BlockHeight),
		Owner: ownerShape(item), Tags: tagsShape(item.Tags), Timestamp: entry.TimestampMS,
		Data: textShape(item.Data), Anchor: anchorShape(item),
		Signature: base64.RawURLEncoding.EncodeToString(item.Signature), Target: processTarget(item),
	}, nil
}
