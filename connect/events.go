package connect

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/wallaby-ao/wallaby/ao"
)

// Event is a result that came.
type Event struct {
	// Cursor is where a stream goes on behind it.
	Cursor string `json:"cursor"`
	Nonce  uint64 `json:"nonce"`
	// Message is the id of what was evaluated; "": a tick of a cron, which Cron names.
	Message     string          `json:"message,omitempty"`
	Cron        string          `json:"cron,omitempty"`
	TimestampMS int64           `json:"timestamp"`
	Result      json.RawMessage `json:"result"`
}

// Parsed gives the result's parts.
func (e Event) Parsed() (result ao.Result, err error) {
	err = json.Unmarshal(e.Result, &result)
	return result, err
}

// eventBytesMax bounds one event.
const eventBytesMax = 64 << 20

// Events calls fn for each result of a process as it comes, from behind a cursor on; "":
// from now on. It ends with ctx, with an error of fn, or when the node ends the stream,
// which is io.ErrUnexpectedEOF: go on behind the last cursor then.
func (c *Client) Events(ctx context.Context, process ao.ID, from string, fn func(Event) error) error {
	target := c.CU + "/events/" + process.String()
	if from != "" {
		target += "?" + url.Values{"from": {from}}.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := c.HTTP.Do(request)
	if err != nil {
		return explainConnection(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		return RefusalOf(response.StatusCode, answer)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, eventBytesMax)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var event Event
		if err := json.Unmarshal(data, &event); err != nil {
			return ao.Errorf(ao.CodeInternal, "%s sent something that is no event: %w", target, err)
		}
		if err := fn(event); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) {
		return ao.Errorf(ao.CodeUnavailable, "read events of %s: %w", target, err)
	}
	return io.ErrUnexpectedEOF
}
