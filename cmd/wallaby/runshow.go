package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/trial"
)

// stepJSON is a step for scripts, one a line.
type stepJSON struct {
	Process     ao.ID           `json:"process"`
	Message     *ao.ID          `json:"message,omitempty"`
	Cron        string          `json:"cron,omitempty"`
	TimestampMS int64           `json:"timestamp"`
	Result      json.RawMessage `json:"result,omitempty"`
	Undelivered []string        `json:"undelivered,omitempty"`
	Failure     string          `json:"failure,omitempty"`
}

// show prints a step as it happens.
func (h *here) show(step trial.Step) {
	if h.output == outputJSON {
		h.showJSON(step)
		return
	}
	h.steps++
	fmt.Fprintf(h.stdout, "%d  %s → %s  %s\n", h.steps, h.sender(step), h.nameOf(step.Process.String()), h.subject(step))
	line := func(what, text string) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(h.stdout, "   %-8s %s\n", what, strings.ReplaceAll(text, "\n", "\n            "))
		}
	}
	if step.Failure != nil {
		line("failed", step.Failure.Error())
		return
	}
	result := step.Result
	if result.Error != nil {
		line("error", textOf(result.Error))
	}
	var output struct{ Data any }
	if json.Unmarshal(result.Output, &output) == nil && output.Data != nil {
		b, _ := json.Marshal(output.Data) // it came out of JSON
		line("output", textOf(b))
	} else {
		line("output", textOf(result.Output))
	}
	for _, sent := range result.Messages {
		line("sends", h.describe(sent))
	}
	for _, spawned := range result.Spawns {
		line("spawns", h.describe(spawned))
	}
	for _, assigned := range result.Assignments {
		line("assigns", string(assigned))
	}
	for _, problem := range step.Undelivered {
		line("lost", problem.Error())
	}
	if result.GasUsed != nil && *result.GasUsed > 0 {
		line("gas", fmt.Sprint(*result.GasUsed))
	}
}

func (h *here) showJSON(step trial.Step) {
	out := stepJSON{Process: step.Process, Cron: step.Cron, TimestampMS: step.TimeMS}
	if step.Message != nil {
		id := step.Message.ID()
		out.Message = &id
	}
	if step.Failure != nil {
		out.Failure = step.Failure.Error()
	} else {
		out.Result = step.Result.JSON()
	}
	for _, problem := range step.Undelivered {
		out.Undelivered = append(out.Undelivered, problem.Error())
	}
	b, err := json.Marshal(out)
	if err != nil {
		b = []byte(err.Error())
	}
	fmt.Fprintf(h.stdout, "%s\n", b)
}

func (h *here) sender(step trial.Step) string {
	switch {
	case step.Cron != "":
		return "cron " + step.Cron
	case step.Message == nil:
		return "assigned"
	}
	return h.nameOf(or(step.Message.Tags.Get(ao.TagFromProcess), step.Message.Address()))
}

// nameOf gives the name of an address; without one, how it begins.
func (h *here) nameOf(address string) string {
	if name, ok := h.names[address]; ok {
		return name
	}
	if len(address) == 43 {
		return address[:8] + "…"
	}
	return address
}

// subject says what a step's message is about.
func (h *here) subject(step trial.Step) string {
	if step.Message == nil {
		return ""
	}
	id := step.Message.ID()
	if id == step.Process {
		h.names[id.String()] = or(h.names[id.String()], or(step.Message.Tags.Get("Name"), id.String()[:8]+"…"))
		return "(begins)"
	}
	text := tagsText(step.Message.Tags, h)
	if data := strings.TrimSpace(string(step.Message.Data)); data != "" {
		text += "  " + clipped(data)
	}
	return text
}

// plumbing are tags that every message has.
var plumbing = map[string]bool{
	ao.TagDataProtocol: true, ao.TagVariant: true, ao.TagType: true, ao.TagFromProcess: true, ao.TagFromModule: true,
	ao.TagPushedFor: true, "Reference": true, ao.TagModule: true, ao.TagScheduler: true, ao.TagAuthority: true,
}

func tagsText(tags dataitem.Tags, h *here) string {
	var parts []string
	for _, tag := range tags {
		if !plumbing[tag.Name] {
			parts = append(parts, tag.Name+"="+clipped(h.nameOf(tag.Value)))
		}
	}
	return strings.Join(parts, " ")
}

// describe says what a process sends or spawns.
func (h *here) describe(body json.RawMessage) string {
	var sent struct {
		Target string
		Data   any
		Tags   []struct {
			Name  string
			Value any
		}
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return string(body)
	}
	var tags dataitem.Tags
	for _, tag := range sent.Tags {
		tags = append(tags, dataitem.Tag{Name: tag.Name, Value: fmt.Sprint(tag.Value)})
	}
	text := tagsText(tags, h)
	if sent.Target != "" {
		text = "to " + h.nameOf(sent.Target) + "  " + text
	}
	if data, ok := sent.Data.(string); ok && data != "" {
		text += "  " + clipped(data)
	}
	return text
}

// clippedRunes is how much is shown of a value.
const clippedRunes = 60

func clipped(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > clippedRunes {
		return string(runes[:clippedRunes]) + "…"
	}
	return text
}

// textOf gives a JSON text as it is, anything else as JSON.
func textOf(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
