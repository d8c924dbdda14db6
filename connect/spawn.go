package connect

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// SpawnRequest is a process to start.
type SpawnRequest struct {
	Module ao.ID
	// Scheduler is the address of the scheduler that orders it; "": the one at SU.
	Scheduler string
	// Authority is the address whose pushes it trusts; "": that of the unit at CU, which
	// in a Wallaby node is the messenger's, too.
	Authority string
	Tags      dataitem.Tags // before those of the protocol
	Data      []byte        // nil: a space
}

// MessageRequest is a message to a process.
type MessageRequest struct {
	Process ao.ID
	Tags    dataitem.Tags // before those of the protocol
	Data    []byte        // nil: a space
}

// Spawn signs a process, starts it and gives its id. It does not wait for its first
// result, which Result gives for the process's own id.
func (c *Client) Spawn(ctx context.Context, request SpawnRequest, signer dataitem.Signer) (id ao.ID, err error) {
	if request.Scheduler == "" {
		if request.Scheduler, err = c.address(ctx, c.SU); err != nil {
			return id, err
		}
	}
	if request.Authority == "" {
		if request.Authority, err = c.address(ctx, c.CU); err != nil {
			return id, err
		}
	}
	tags := append(request.Tags[:len(request.Tags):len(request.Tags)],
		dataitem.Tag{Name: ao.TagAuthority, Value: request.Authority},
		dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		dataitem.Tag{Name: ao.TagVariant, Value: ao.Variant},
		dataitem.Tag{Name: ao.TagType, Value: ao.TypeProcess},
		dataitem.Tag{Name: ao.TagModule, Value: request.Module.String()},
		dataitem.Tag{Name: ao.TagScheduler, Value: request.Scheduler},
	)
	return c.Send(ctx, dataitem.Draft{Anchor: freshAnchor(), Tags: tags, Data: orSpace(request.Data)}, signer)
}

// Message signs a message, sends it and gives its id. Once it returns, the message has a
// place in the process's log for ever; Result waits for what it comes to.
func (c *Client) Message(ctx context.Context, request MessageRequest, signer dataitem.Signer) (ao.ID, error) {
	item, err := c.Sign(request, signer)
	if err != nil {
		return ao.ID{}, err
	}
	return item.ID(), c.Post(ctx, item)
}

// Sign signs a message without sending it, which Post does: so its id is known before.
func (c *Client) Sign(request MessageRequest, signer dataitem.Signer) (*dataitem.Item, error) {
	tags := append(request.Tags[:len(request.Tags):len(request.Tags)],
		dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		dataitem.Tag{Name: ao.TagVariant, Value: ao.Variant},
		dataitem.Tag{Name: ao.TagType, Value: ao.TypeMessage},
	)
	item, err := dataitem.Create(dataitem.Draft{Target: request.Process[:], Anchor: freshAnchor(), Tags: tags, Data: orSpace(request.Data)}, signer)
	if err != nil {
		return nil, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	return item, nil
}

// address gives the address of a unit.
func (c *Client) address(ctx context.Context, unit string) (string, error) {
	var info struct{ Address string }
	if err := c.Do(ctx, http.MethodGet, unit+"/", "", nil, &info); err != nil {
		return "", err
	}
	return info.Address, nil
}

// freshAnchor keeps equal messages apart. It is text, as clients' anchors are.
func freshAnchor() []byte { return []byte((rand.Text() + rand.Text())[:32]) }

func orSpace(data []byte) []byte {
	if len(data) == 0 {
		return []byte(" ")
	}
	return data
}
