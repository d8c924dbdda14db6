package courier

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
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Assignment asks a scheduler to put something that is published into the log of
// one of its processes.
type Assignment struct {
	Process   ao.ID
	Message   ao.ID
	BaseLayer bool
	Exclude   []string
}

// Post puts an item into a log of a scheduler. An item that is there already is
// a success.
func (c *Courier) Post(ctx context.Context, scheduler string, item *dataitem.Item) error {
	_, err := c.post(ctx, scheduler, "", item.Bytes())
	if err != nil {
		return fmt.Errorf("item %s: %w", item.ID(), err)
	}
	return nil
}

// Assign gives the id of the assignment, which is zero when the scheduler says
// only that it was made before.
func (c *Courier) Assign(ctx context.Context, scheduler string, a Assignment) (ao.ID, error) {
	query := "process-id=" + a.Process.String() + "&assign=" + a.Message.String()
	if a.BaseLayer {
		query += "&base-layer"
	}
	if len(a.Exclude) > 0 {
		query += "&exclude=" + url.QueryEscape(strings.Join(a.Exclude, ","))
	}
	id, err := c.post(ctx, scheduler, query, nil)
	if err != nil {
		return ao.ID{}, fmt.Errorf("assignment of %s to %s: %w", a.Message, a.Process, err)
	}
	return id, nil
}

// post sends one request to where a scheduler answers and gives the id that it
// answered with.
func (c *Courier) post(ctx context.Context, scheduler, query string, body []byte) (ao.ID, error) {
	base, err := c.locate(ctx, scheduler)
	if err == nil && base == "" {
		err = Laterf(0, "scheduler %s has published no Scheduler-Location that this node's gateways know", scheduler)
	}
	if err != nil {
		return ao.ID{}, err
	}
	id, err := c.exchange(ctx, base, query, body)
	if err == nil {
		return id, nil
	}
	c.doubt(scheduler)
	if !isLater(err) {
		// A refusal counts only from where the scheduler is, not from where it was.
		if moved, failed := c.locate(ctx, scheduler); failed == nil && moved != "" && moved != base {
			base = moved
			id, err = c.exchange(ctx, base, query, body)
		}
	}
	if err != nil {
		err = fmt.Errorf("scheduler %s at %s: %w", scheduler, base, err)
	}
	return id, err
}

func (c *Courier) exchange(ctx context.Context, base, query string, body []byte) (ao.ID, error) {
	target := base + "/"
	if query != "" {
		target += "?" + query
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return ao.ID{}, ao.Errorf(ao.CodeUnprocessable, "%w", err)
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	request.Header.Set("Accept", "application/json")
	leave, err := c.hosts.enter(ctx, request.URL.Host)
	if err != nil {
		return ao.ID{}, err
	}
	defer leave()
	response, err := c.options.HTTP.Do(request)
	if err != nil {
		return ao.ID{}, unreached(ctx, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return ao.ID{}, unreached(ctx, err)
	}
	return outcome(response.StatusCode, response.Header.Get("Retry-After"), answer, c.options.Now())
}

// unreached says why there is no answer. The URL is in the words around it.
func unreached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return Laterf(0, "cannot be reached: %w", err)
}

// outcome reads an answer: what it means for what was sent.
func outcome(status int, retryAfter string, answer []byte, now time.Time) (ao.ID, error) {
	said := words(answer)
	switch {
	case status < 300:
		var posted struct {
			ID ao.ID `json:"id"`
		}
		if json.Unmarshal(answer, &posted) != nil || posted.ID.IsZero() {
			return ao.ID{}, Laterf(0, "answered %d as no scheduler does, without the id of what it took: %s", status, said)
		}
		return posted.ID, nil
	case status == http.StatusBadRequest && (strings.Contains(said, duplicateMessage) || strings.Contains(said, duplicateContent)):
		return ao.ID{}, nil
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status >= 500, status < 400, strings.Contains(said, notThereYet):
		return ao.ID{}, Laterf(waitOf(retryAfter, now), "answered %d: %s", status, said)
	}
	return ao.ID{}, ao.Errorf(codeOf(status), "refused with %d: %s", status, said)
}

// What the reference scheduler says, with status 400 for all of it.
const (
	duplicateMessage = "Message already exists"
	duplicateContent = "Deep hash already exists"
	// notThereYet is the refusal of an assignment of something that its gateway
	// has not indexed.
	notThereYet = "Transaction not found"
)

// codeOf is what kind of refusal for good a status is.
func codeOf(status int) ao.Code {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ao.CodeUnauthorized
	case http.StatusNotFound:
		return ao.CodeNotFound
	case http.StatusConflict:
		return ao.CodeConflict
	case http.StatusRequestEntityTooLarge:
		return ao.CodeTooLarge
	case http.StatusUnprocessableEntity:
		return ao.CodeUnprocessable
	}
	return ao.CodeInvalid
}

// wordsMax bounds how much of an answer is quoted.
const wordsMax = 300

// words are what an answer says for people, on one line.
func words(answer []byte) string {
	var body struct {
		Error string `json:"error"`
	}
	text := string(answer[:min(len(answer), 4*wordsMax)])
	if json.Unmarshal(answer, &body) == nil && body.Error != "" {
		text = body.Error
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if runes := []rune(text); len(runes) > wordsMax {
		text = string(runes[:wordsMax]) + "..."
	}
	return strings.Map(printable, text)
}

// printable leaves out what would steer a terminal.
func printable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return -1
}
