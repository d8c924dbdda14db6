package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

func (a *app) sendCommand() *cobra.Command {
	var (
		tagFlags     []string
		action, data string
		wait         bool
	)
	cmd := &cobra.Command{
		Use:   "send PROCESS",
		Short: "Send a message to a process and print the message's id",
		Example: `  wallaby send PID --action Eval --data 'return 1 + 1' --wait
  wallaby send PID --action Transfer --tag Recipient=ADDRESS --tag Quantity=5`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			draft, err := a.messageDraft(process, tagFlags, action, data)
			if err != nil {
				return err
			}
			if !wait {
				return a.post(cmd.Context(), draft)
			}
			signer, err := a.signer()
			if err != nil {
				return err
			}
			id, err := a.client().Send(cmd.Context(), draft, signer)
			if err != nil {
				return err
			}
			result, err := a.client().Result(cmd.Context(), process, id)
			if err != nil {
				return err
			}
			return a.printResult(result)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&tagFlags, "tag", nil, "add a tag `NAME=VALUE` (repeatable)")
	flags.StringVar(&action, "action", "", "the message's `ACTION`")
	flags.StringVar(&data, "data", " ", "data, or @FILE, or - for standard input")
	flags.BoolVar(&wait, "wait", false, "wait for the result and print it")
	return cmd
}

// messageDraft makes an unsigned message the way aoconnect does.
func (a *app) messageDraft(process ao.ID, tagFlags []string, action, data string) (dataitem.Draft, error) {
	tags, err := parseTags(tagFlags)
	if err != nil {
		return dataitem.Draft{}, err
	}
	if action != "" {
		tags = append(dataitem.Tags{{Name: "Action", Value: action}}, tags...)
	}
	tags = append(tags,
		dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		dataitem.Tag{Name: ao.TagVariant, Value: ao.Variant},
		dataitem.Tag{Name: ao.TagType, Value: ao.TypeMessage},
	)
	body, err := a.readData(data)
	if err != nil {
		return dataitem.Draft{}, err
	}
	return dataitem.Draft{Target: process[:], Anchor: freshAnchor(), Tags: tags, Data: body}, nil
}

// freshAnchor makes an item one of its own: keys sign the same words the same
// way every time, and a message that comes twice counts once.
func freshAnchor() []byte {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	return hex.AppendEncode(nil, random[:])
}

// post signs a draft, sends it and prints its id.
func (a *app) post(ctx context.Context, draft dataitem.Draft) error {
	signer, err := a.signer()
	if err != nil {
		return err
	}
	id, err := a.client().Send(ctx, draft, signer)
	if err != nil {
		return err
	}
	if a.output == outputJSON {
		return a.printJSON(map[string]any{"id": id})
	}
	fmt.Fprintln(a.stdout, id)
	return nil
}

// readData gives a flag's text, the file behind @FILE, or standard input for -.
func (a *app) readData(flag string) ([]byte, error) {
	switch {
	case flag == "-":
		b, err := io.ReadAll(a.stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return b, nil
	case strings.HasPrefix(flag, "@"):
		b, err := os.ReadFile(flag[1:])
		if err != nil {
			return nil, fmt.Errorf("read data: %w", err)
		}
		return b, nil
	}
	return []byte(flag), nil
}

func parseProcess(s string) (ao.ID, error) {
	id, err := ao.ParseID(s)
	if err != nil {
		return id, usageError{fmt.Errorf("process: %w", err)}
	}
	return id, nil
}

// printResult shows what a person asks a result for first: the output, then
// what was sent, then the error.
func (a *app) printResult(result ao.Result) error {
	if a.output == outputJSON {
		return a.printJSON(json.RawMessage(result.JSON()))
	}
	fmt.Fprintln(a.stdout, outputText(result.Output))
	for _, part := range []struct {
		what string
		list []json.RawMessage
	}{{"message", result.Messages}, {"spawn", result.Spawns}, {"assignment", result.Assignments}} {
		for _, effect := range part.list {
			fmt.Fprintf(a.stdout, "%s: %s\n", part.what, compact(effect))
		}
	}
	if result.Error != nil {
		return fmt.Errorf("the process answered with an error: %s", outputText(result.Error))
	}
	return nil
}

// outputText gives the text that aos shows for an output: the string itself,
// or its data, or else the JSON.
func outputText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var object struct{ Data json.RawMessage }
	if json.Unmarshal(raw, &object) == nil && len(object.Data) > 0 {
		return outputText(object.Data)
	}
	var nested struct{ Output string }
	if json.Unmarshal(raw, &nested) == nil && nested.Output != "" {
		return nested.Output
	}
	return compact(raw)
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}
