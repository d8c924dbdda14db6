package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
)

// Client speaks to a node's units. The error of a unit comes back as the
// *ao.Error it was.
type Client struct {
	Gateway, MU, SU, CU string // base URLs
	HTTP                *http.Client
}

// NewClient makes a client for all units under a node's gateway URL.
func NewClient(base string) *Client {
	base = strings.TrimRight(base, "/")
	return &Client{Gateway: base, MU: base + "/mu", SU: base + "/su", CU: base + "/cu", HTTP: &http.Client{}}
}

// answerBytesMax bounds what a client reads of an answer.
const answerBytesMax = 256 << 20

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
		return refusal(response.StatusCode, answer)
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

// refusal turns an error answer back into an error.
func refusal(status int, answer []byte) error {
	var body errorJSON
	if json.Unmarshal(answer, &body) != nil || body.Error == "" {
		body.Error = strings.TrimSpace(string(answer[:min(len(answer), 500)]))
	}
	if body.Code == "" {
		body.Code = codeOfStatus(status)
	}
	if body.Error == "" {
		body.Error = fmt.Sprintf("status %d", status)
	}
	return &ao.Error{Code: body.Code, Message: body.Error}
}

const octets = "application/octet-stream"

// Send signs a draft, posts it to the messenger and gives its id.
func (c *Client) Send(ctx context.Context, draft dataitem.Draft, signer dataitem.Signer) (ao.ID, error) {
	item, err := dataitem.Create(draft, signer)
	if err != nil {
		return ao.ID{}, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	return item.ID(), c.Post(ctx, item)
}

// Post posts a signed item to the messenger.
func (c *Client) Post(ctx context.Context, item *dataitem.Item) error {
	return c.Do(ctx, http.MethodPost, c.MU, octets, item.Bytes(), nil)
}

// Monitor has what a process's crons send delivered, or not any more. Anybody's
// signature will do.
func (c *Client) Monitor(ctx context.Context, process ao.ID, on bool, signer dataitem.Signer) error {
	item, err := dataitem.Create(dataitem.Draft{Target: process[:], Data: []byte(" ")}, signer)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	method := http.MethodPost
	if !on {
		method = http.MethodDelete
	}
	return c.Do(ctx, method, c.MU+"/monitor/"+process.String(), octets, item.Bytes(), nil)
}

// Upload posts a signed item to the bundler.
func (c *Client) Upload(ctx context.Context, item *dataitem.Item) error {
	return c.Do(ctx, http.MethodPost, c.Gateway+"/tx/arweave", octets, item.Bytes(), nil)
}

// Assign asks the messenger to assign a message to a process and gives the
// assignment's id.
func (c *Client) Assign(ctx context.Context, process, message ao.ID, exclude ...string) (ao.ID, error) {
	query := url.Values{"process-id": {process.String()}, "assign": {message.String()}}
	if len(exclude) > 0 {
		query.Set("exclude", strings.Join(exclude, ","))
	}
	var posted muPosted
	err := c.Do(ctx, http.MethodPost, c.MU+"?"+query.Encode(), "", nil, &posted)
	return posted.ID, err
}

// Result waits for the result of a message, an assignment or a process's boot.
func (c *Client) Result(ctx context.Context, process, id ao.ID) (result ao.Result, err error) {
	err = c.Do(ctx, http.MethodGet, c.CU+"/result/"+id.String()+"?process-id="+process.String(), "", nil, &result)
	return result, err
}

// ResultsQuery selects a page of results.
type ResultsQuery struct {
	From, To string // cursors
	Sort     string // ASC or DESC
	Limit    int
}

// Results gives a page of a process's results.
func (c *Client) Results(ctx context.Context, process ao.ID, q ResultsQuery) (page ResultsPage, err error) {
	query := url.Values{}
	for name, value := range map[string]string{"from": q.From, "to": q.To, "sort": q.Sort} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	err = c.Do(ctx, http.MethodGet, c.CU+"/results/"+process.String()+"?"+query.Encode(), "", nil, &page)
	return page, err
}

// DryRun asks a process without leaving a trace in it.
func (c *Client) DryRun(ctx context.Context, process ao.ID, request DryRunRequest) (result ao.Result, err error) {
	return c.DryRunAt(ctx, process, nil, request)
}

// Root gives the root of a process's state behind a place; nil: the newest.
func (c *Client) Root(ctx context.Context, process ao.ID, at *Place) (root engine.StateRoot, err error) {
	err = c.Do(ctx, http.MethodGet, c.CU+"/root/"+process.String()+"?"+placeQuery(at).Encode(), "", nil, &root)
	return root, err
}

// State writes the memory of a process behind a place; nil: the newest.
func (c *Client) State(ctx context.Context, process ao.ID, at *Place, to io.Writer) (bytes int64, err error) {
	target := c.CU + "/state/" + process.String() + "?" + placeQuery(at).Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return 0, explainConnection(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		return 0, refusal(response.StatusCode, answer)
	}
	bytes, err = io.Copy(to, response.Body)
	if err != nil {
		err = ao.Errorf(ao.CodeUnavailable, "read the state from %s: %w", target, err)
	}
	return bytes, err
}

// DryRunAt asks a process in its state behind a place; nil: the newest.
func (c *Client) DryRunAt(ctx context.Context, process ao.ID, at *Place, request DryRunRequest) (result ao.Result, err error) {
	query := placeQuery(at)
	query.Set("process-id", process.String())
	body, err := json.Marshal(request)
	if err != nil {
		return result, ao.Errorf(ao.CodeInvalid, "encode dry run: %w", err)
	}
	err = c.Do(ctx, http.MethodPost, c.CU+"/dry-run?"+query.Encode(), "application/json", body, &result)
	return result, err
}

// Schedule gives a page of a process's log, from a nonce on.
func (c *Client) Schedule(ctx context.Context, process ao.ID, fromNonce, limit int64) (list ListJSON, err error) {
	query := url.Values{
		"process-id": {process.String()},
		"from-nonce": {strconv.FormatInt(fromNonce-1, 10)}, "limit": {strconv.FormatInt(limit, 10)},
	}
	err = c.Do(ctx, http.MethodGet, c.SU+"/"+process.String()+"?"+query.Encode(), "", nil, &list)
	return list, err
}
