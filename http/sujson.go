package http

import (
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
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

	processJSON struct {
		ProcessID string            `json:"process_id"`
		Block     string            `json:"block"`
		Owner     connect.OwnerJSON `json:"owner"`
		Tags      dataitem.Tags     `json:"tags"`
		Timestamp int64             `json:"timestamp"`
		Data      *string           `json:"data"`
		Anchor    *string           `json:"anchor"`
		Signature string            `json:"signature"`
		Target    *string           `json:"target"`
	}
)

func ownerShape(item *dataitem.Item) connect.OwnerJSON {
	return connect.OwnerJSON{Address: item.OwnerAddress().String(), Key: base64.RawURLEncoding.EncodeToString(item.Owner)}
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
func messageShape(entry aolog.Entry, showAnchor bool) (connect.MessageJSON, error) {
	assignment, err := dataitem.Parse(entry.AssignmentBytes)
	if err != nil {
		return connect.MessageJSON{}, fmt.Errorf("assignment %s: %w", entry.ID, err)
	}
	shape := connect.MessageJSON{Assignment: connect.AssignmentJSON{
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
		return connect.MessageJSON{}, fmt.Errorf("message %s: %w", entry.Message, err)
	}
	message := connect.ItemJSON{
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
