package console

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Evaluate has the process evaluate code and shows what comes of it. An error in the
// code is shown, and is none here.
func (c *Console) Evaluate(ctx context.Context, code string) error {
	if _, dry := c.look(); dry {
		result, err := c.try(ctx, code)
		if err != nil {
			return err
		}
		c.show("", result)
		return nil
	}
	id, result, err := c.send(ctx, dataitem.Tags{{Name: "Action", Value: "Eval"}}, code)
	if err != nil {
		return err
	}
	c.show(id.String(), result)
	return nil
}

// send sends a message and waits for its result.
func (c *Console) send(ctx context.Context, tags dataitem.Tags, data string) (id ao.ID, result ao.Result, err error) {
	item, err := c.Client.Sign(connect.MessageRequest{Process: c.Process.ID, Tags: tags, Data: []byte(data)}, c.Signer)
	if err != nil {
		return id, result, err
	}
	// The stream may tell of it before it is acknowledged here.
	c.mu.Lock()
	c.own[item.ID().String()], c.last = true, item.ID().String()
	c.mu.Unlock()
	if err := c.Client.Post(ctx, item); err != nil {
		return id, result, err
	}
	result, err = c.Client.Result(ctx, c.Process.ID, item.ID())
	return item.ID(), result, err
}

// try has a copy of the process evaluate code, in the state that is looked at.
func (c *Console) try(ctx context.Context, code string) (ao.Result, error) {
	at, _ := c.look()
	return c.tryAt(ctx, at, code)
}

func (c *Console) tryAt(ctx context.Context, at *connect.Place, code string) (ao.Result, error) {
	return c.Client.DryRunAt(ctx, c.Process.ID, at, connect.DryRunRequest{
		Owner: c.Process.Owner, Data: &code,
		Tags: dataitem.Tags{
			{Name: "Action", Value: "Eval"}, {Name: ao.TagDataProtocol, Value: ao.DataProtocol},
			{Name: ao.TagType, Value: ao.TypeMessage}, {Name: ao.TagVariant, Value: ao.Variant},
		},
	})
}

// output is what aos and its like say of a message.
type output struct {
	Data   json.RawMessage `json:"data"`
	Prompt string          `json:"prompt"`
	Print  bool            `json:"print"`
}

func outputOf(result ao.Result) (text string, o output) {
	if json.Unmarshal(result.Output, &o) == nil && len(o.Data) > 0 {
		// Old ones wrap it once more.
		var inner struct{ Output, Prompt json.RawMessage }
		if json.Unmarshal(o.Data, &inner) == nil && len(inner.Output) > 0 {
			_ = json.Unmarshal(inner.Prompt, &o.Prompt) // it may not be there
			return textOf(inner.Output), o
		}
		return textOf(o.Data), o
	}
	return textOf(result.Output), o
}

// textOf gives a JSON text as it is, and nothing for what stands for nothing.
func textOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if trimmed := string(raw); trimmed != "null" && trimmed != "{}" && trimmed != "[]" {
		return trimmed
	}
	return ""
}

// show prints a result and takes the prompt that it has. The message is "" when there was
// none.
func (c *Console) show(message string, result ao.Result) {
	if result.Error != nil {
		text := textOf(result.Error)
		if message != "" {
			c.failed(message, text)
			text += "\n" + c.dim("Nothing has changed in the process. .why tells more.")
		}
		c.Lines.Print(c.red(c.plain(text)))
		return
	}
	text, _ := outputOf(result)
	c.takePrompt(result)
	if text != "" {
		c.Lines.Print(c.plain(text))
	}
	if summary := sentSummary(result); summary != "" {
		if message == "" {
			summary += ", if it were sent"
		}
		c.Lines.Print(c.dim("→ " + summary))
	}
}

func (c *Console) failed(message, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = failure{message, text}
}

// sentSummary counts what a result asks to be sent.
func sentSummary(result ao.Result) string {
	var parts []string
	for _, one := range []struct {
		count int
		name  string
	}{{len(result.Messages), "message"}, {len(result.Spawns), "spawn"}, {len(result.Assignments), "assignment"}} {
		switch {
		case one.count == 1:
			parts = append(parts, "1 "+one.name)
		case one.count > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", one.count, one.name))
		}
	}
	return strings.Join(parts, ", ")
}

func (c *Console) takePrompt(result ao.Result) {
	_, o := outputOf(result)
	prompt := o.Prompt
	if prompt == "" {
		name := c.Process.Name
		if name == "" {
			name = c.Process.ID.String()[:8]
		}
		prompt = name + "> "
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.at != nil:
		prompt = c.dim(fmt.Sprintf("[@%d] ", c.at.Nonce)) + prompt
	case c.dry:
		prompt = c.dim("[dry run] ") + prompt
	}
	c.prompt = c.plain(prompt)
}

// escapes are what colours a terminal.
var escapes = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// plain takes colours away where they are not wanted, and always what could do more to a
// terminal than colour it: the text comes from strangers.
func (c *Console) plain(text string) string {
	var out strings.Builder
	rest := text
	for {
		at := escapes.FindStringIndex(rest)
		if at == nil {
			out.WriteString(harmless(rest))
			return out.String()
		}
		out.WriteString(harmless(rest[:at[0]]))
		if c.Color && rest[at[1]-1] == 'm' {
			out.WriteString(rest[at[0]:at[1]])
		}
		rest = rest[at[1]:]
	}
}

// harmless leaves out control characters.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}

// Failed reports whether the last message that was sent from here came to an error.
func (c *Console) Failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure.message != "" && c.failure.message == c.last
}
