package node

import (
	"context"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// weave is what the units ask of the gateways of this node and the others.
type weave struct{ node *Node }

var _ aohttp.Weave = weave{}

// Height is the newest block's.
func (w weave) Height() uint64 { return w.node.gateway.Height() }

// Standing says how an item or transaction lies.
func (w weave) Standing(ctx context.Context, id ao.ID) (standing aolog.Standing, known bool, err error) {
	record, err := w.node.gateway.Lookup(ctx, id)
	if err == nil {
		standing, err = standingOf(w.node.gateway, record)
	} else if ao.CodeOf(err) == ao.CodeNotFound {
		var answer txAnswer
		answer, err = w.node.peerTx(ctx, id, false)
		standing = answer.Standing
	}
	if err != nil {
		if ao.CodeOf(err) == ao.CodeNotFound {
			return aolog.Standing{}, false, nil
		}
		return aolog.Standing{}, false, err
	}
	return standing, true, nil
}

func standingOf(g *gateway.Gateway, record gateway.Record) (standing aolog.Standing, err error) {
	standing.DataBytes = record.DataSize
	if height := g.Height(); height >= record.Height {
		standing.Confirmations = height - record.Height + 1
	}
	standing.Whole, err = g.Whole(record)
	return standing, err
}
