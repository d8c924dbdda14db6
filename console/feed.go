package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
)

const (
	// feedRetry is the first wait for a node that has gone, doubled up to feedRetryMax.
	feedRetry    = 250 * time.Millisecond
	feedRetryMax = 5 * time.Second
	// feedPoll is how often a compute unit without a stream is asked.
	feedPoll = 2 * time.Second
)

// follow shows what comes of the process's messages, as it happens.
func (c *Console) follow(ctx context.Context) {
	cursor, wait, gone := "", feedRetry, false
	for ctx.Err() == nil {
		err := c.Client.Events(ctx, c.Process.ID, cursor, func(event connect.Event) error {
			if gone {
				c.Lines.Print(c.dim("The node is back."))
			}
			cursor, wait, gone = event.Cursor, feedRetry, false
			c.happened(event)
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		if ao.CodeOf(err) == ao.CodeNotFound {
			c.poll(ctx) // it is no unit of ours
			return
		}
		if !gone && !errors.Is(err, io.ErrUnexpectedEOF) {
			c.Lines.Print(c.dim("The node does not answer; this waits for it: " + err.Error()))
			gone = true
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, feedRetryMax)
	}
}

// poll asks for results now and then, of a compute unit that has no stream.
func (c *Console) poll(ctx context.Context) {
	query := connect.ResultsQuery{Sort: "DESC", Limit: 1}
	for ; ctx.Err() == nil; c.pause(ctx, feedPoll) {
		page, err := c.Client.Results(ctx, c.Process.ID, query)
		if err != nil {
			continue
		}
		for _, edge := range page.Edges {
			if query.Sort == "ASC" {
				result := ao.Result{Messages: edge.Node.Messages, Spawns: edge.Node.Spawns, Output: edge.Node.Output}
				c.happened(connect.Event{Result: result.JSON()})
			}
			query.From = edge.Cursor
		}
		query.Sort, query.Limit = "ASC", 1000
	}
}

func (c *Console) pause(ctx context.Context, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// happened shows a result of a message that was not sent from here.
func (c *Console) happened(event connect.Event) {
	c.mu.Lock()
	own := c.own[event.Message]
	delete(c.own, event.Message)
	c.mu.Unlock()
	result, err := event.Parsed()
	if own || err != nil {
		return
	}
	if result.Error != nil {
		text := textOf(result.Error)
		c.failed(event.Message, text)
		first, _, _ := strings.Cut(text, "\n")
		what := "A message"
		if event.Cron != "" {
			what = "A tick of cron " + event.Cron
		}
		c.Lines.Print(c.red(c.plain(what+" failed: "+first)) + c.dim("  .why tells more"))
		return
	}
	text, o := outputOf(result)
	if at, _ := c.look(); at == nil && o.Prompt != "" {
		c.takePrompt(result)
		c.Lines.Prompt(c.currentPrompt())
	}
	if o.Print && text != "" {
		c.Lines.Print(c.plain(text))
	}
}

// why tells all that is known of a failed message.
func (c *Console) why(ctx context.Context, message string) error {
	c.mu.Lock()
	last := c.failure
	c.mu.Unlock()
	if message == "" && last == (failure{}) {
		c.Lines.Print("Nothing has failed since this console began. .why ID tells of another message.")
		return nil
	}
	if message != "" && message != last.message {
		id, err := ao.ParseID(message)
		if err != nil {
			return err
		}
		result, err := c.Client.Result(ctx, c.Process.ID, id)
		if err != nil {
			return err
		}
		if result.Error == nil {
			c.Lines.Print("It did not fail. Its result:\n" + c.plain(string(indented(result.JSON()))))
			return nil
		}
		last = failure{message, textOf(result.Error)}
	}
	c.Lines.Print(c.red(c.plain(last.text)))
	if last.message == "" || c.Trace == nil {
		return nil
	}
	drawn, err := c.Trace(ctx, last.message)
	if err == nil {
		c.Lines.Print(c.plain(drawn))
	}
	return err
}

func indented(raw json.RawMessage) []byte {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return raw
	}
	b, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return raw
	}
	return b
}
