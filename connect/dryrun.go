package connect

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// DryRunRequest is a message that is asked about and not sent.
type DryRunRequest struct {
	ID          *string       `json:"Id,omitempty"`
	Signature   *string       `json:"Signature,omitempty"`
	Target      *string       `json:"Target,omitempty"`
	Owner       string        `json:"Owner"`
	Anchor      *string       `json:"Anchor,omitempty"`
	Data        *string       `json:"Data,omitempty"`
	Tags        dataitem.Tags `json:"Tags"`
	TimestampMS *int64        `json:"Timestamp,omitempty"`
	BlockHeight *uint64       `json:"Block-Height,omitempty"`
}

// DryRun asks a process without leaving a trace in it.
func (c *Client) DryRun(ctx context.Context, process ao.ID, request DryRunRequest) (result ao.Result, err error) {
	return c.DryRunAt(ctx, process, nil, request)
}

// DryRunAt asks a process in its state behind a place; nil: the newest.
func (c *Client) DryRunAt(ctx context.Context, process ao.ID, at *Place, request DryRunRequest) (result ao.Result, err error) {
	query := at.query()
	query.Set("process-id", process.String())
	body, err := json.Marshal(request)
	if err != nil {
		return result, ao.Errorf(ao.CodeInvalid, "encode dry run: %w", err)
	}
	err = c.Do(ctx, http.MethodPost, c.CU+"/dry-run?"+query.Encode(), "application/json", body, &result)
	return result, err
}
