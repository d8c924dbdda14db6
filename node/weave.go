package node

import (
	"context"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// weave is what the units ask of the gateway.
type weave struct{ gateway *gateway.Gateway }

var _ aohttp.Weave = weave{}

// Height is the newest block's.
func (w weave) Height() uint64 { return w.gateway.Height() }

// Standing says how an item or transaction lies.
func (w weave) Standing(ctx context.Context, id ao.ID) (standing aolog.Standing, known bool, err error) {
	record, err := w.gateway.Lookup(ctx, id)
	if err != nil {
		if ao.CodeOf(err) == ao.CodeNotFound {
			return standing, false, nil
		}
		return standing, false, err
	}
	standing.DataBytes = record.DataSize
	if standing.Whole, err = w.gateway.Whole(record); err != nil {
		return standing, false, err
	}
	if height := w.gateway.Height(); height >= record.Height {
		standing.Confirmations = height - record.Height + 1
	}
	return standing, true, nil
}
