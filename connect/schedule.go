package connect

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// The shapes of the scheduler's JSON, as the reference's clients read them.
type (
	// ListJSON is a page of a log.
	ListJSON struct {
		PageInfo struct {
			HasNextPage bool `json:"has_next_page"`
		} `json:"page_info"`
		Edges []EdgeJSON `json:"edges"`
	}

	// EdgeJSON is one entry of a page.
	EdgeJSON struct {
		Node   MessageJSON `json:"node"`
		Cursor string      `json:"cursor"`
	}

	// MessageJSON is one entry of a log. Message is null for an item that is
	// assigned by name.
	MessageJSON struct {
		Message    *ItemJSON      `json:"message"`
		Assignment AssignmentJSON `json:"assignment"`
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

	// OwnerJSON is an owner: the address that gateways index, and the key.
	OwnerJSON struct {
		Address string `json:"address"`
		Key     string `json:"key"`
	}
)

// Schedule gives a page of a process's log, from a nonce on.
func (c *Client) Schedule(ctx context.Context, process ao.ID, fromNonce, limit int64) (list ListJSON, err error) {
	query := url.Values{
		"process-id": {process.String()},
		"from-nonce": {strconv.FormatInt(fromNonce-1, 10)}, "limit": {strconv.FormatInt(limit, 10)},
	}
	err = c.Do(ctx, http.MethodGet, c.SU+"/"+process.String()+"?"+query.Encode(), "", nil, &list)
	return list, err
}

// Owner gives the address that a process takes for its owner's: what its log begins with
// says it.
func (c *Client) Owner(ctx context.Context, process ao.ID) (string, error) {
	list, err := c.Schedule(ctx, process, 0, 1)
	if err != nil {
		return "", err
	}
	return list.Owner(process)
}

// Owner gives the same out of the first page of the process's log.
func (l ListJSON) Owner(process ao.ID) (string, error) {
	if len(l.Edges) == 0 || l.Edges[0].Node.Message == nil {
		return "", ao.Errorf(ao.CodeNotFound, "the log of process %s does not begin with the process: name its owner", process)
	}
	item := l.Edges[0].Node.Message
	if from, ok := item.Tags.Lookup(ao.TagFromProcess); ok {
		return from, nil
	}
	key, err := base64.RawURLEncoding.DecodeString(item.Owner.Key)
	if err != nil {
		return "", ao.Errorf(ao.CodeInternal, "owner of process %s: %w", process, err)
	}
	return dataitem.NativeAddress(key), nil
}
