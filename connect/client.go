package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
)

// Client speaks to a node's units. The error of a unit comes back as the
// *ao.Error it was.
type Client struct {
	Gateway, MU, SU, CU string // base URLs
	HTTP                *http.Client
}

// New makes a client for all units under a node's gateway URL.
func New(base string) *Client {
	base = strings.TrimRight(base, "/")
	return &Client{Gateway: base, MU: base + "/mu", SU: base + "/su", CU: base + "/cu", HTTP: &http.Client{}}
}

// answerBytesMax bounds what a client reads of an answer.
const answerBytesMax = 256 << 20

const octets = "application/octet-stream"

// Do sends a request and decodes the JSON answer into to, if to is not nil.
func (c *Client) Do(ctx context.Context, method, url, contentType string, body []byte, to any) error {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("Accept", "application/json")
	response, err := c.HTTP.Do(request)
	if err != nil {
		return explainConnection(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return ao.Errorf(ao.CodeUnavailable, "read the answer of %s: %w", url, err)
	}
	if response.StatusCode >= 300 {
		return RefusalOf(response.StatusCode, answer)
	}
	if to == nil {
		return nil
	}
	if err := json.Unmarshal(answer, to); err != nil {
		return ao.Errorf(ao.CodeInternal, "%s answered with something that is no JSON: %w", url, err)
	}
	return nil
}

// explainConnection says what a person can do about a node that is not there.
func explainConnection(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		base := e.URL
		if u, parseErr := url.Parse(e.URL); parseErr == nil {
			base = u.Scheme + "://" + u.Host
		}
		return ao.Errorf(ao.CodeUnavailable, "cannot reach a node at %s: start one with wallaby dev, or name another with --url (%w)", base, e.Err)
	}
	return err
}
