package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/node"
)

// traceWidth is how wide a drawn trace is at most.
const traceWidth = 120

// drawTrace writes a trace as a tree, a step a line, with times in one column.
func drawTrace(w io.Writer, trace node.Trace) error {
	d := drawing{day: dayOf(trace.Message.Scheduled.TimeMS)}
	d.message(trace.Message, "", "scheduled", 0)
	column := 0
	for _, line := range d.lines {
		if line.step {
			column = max(column, utf8.RuneCountInString(line.left))
		}
	}
	for _, line := range d.lines {
		text := line.left
		if line.step {
			text += strings.Repeat(" ", column-utf8.RuneCountInString(text)) + fmt.Sprintf("  %12s %9s  %s", line.when, line.after, line.detail)
		}
		if _, err := fmt.Fprintln(w, clip(strings.TrimRight(text, " "), traceWidth-1)); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, process := range d.processes {
		fmt.Fprintf(w, "%s is process %s\n", shortID(process), process)
	}
	for _, hint := range d.hints {
		fmt.Fprintln(w, hint)
	}
	if trace.Cut {
		fmt.Fprintln(w, "there is more: ask with a larger --depth, or for one of the ids above")
	}
	return nil
}

// drawing collects the lines of a trace.
type drawing struct {
	day       string
	lines     []traceLine
	processes []string
	hints     []string
}

// traceLine is a heading, or a step with its columns.
type traceLine struct {
	left                string
	step                bool
	when, after, detail string
}

func (d *drawing) heading(text string) { d.lines = append(d.lines, traceLine{left: text}) }

// step adds a step at a time, after the one that caused it; 0 stands for not known.
func (d *drawing) step(left string, atMS, afterMS int64, detail string) {
	line := traceLine{left: left, step: true, when: "-", detail: strings.Join(strings.Fields(detail), " ")}
	if atMS != 0 {
		line.when = time.UnixMilli(atMS).UTC().Format("15:04:05.000")
		if day := dayOf(atMS); day != d.day {
			line.when = day
		}
		if afterMS != 0 {
			line.after = formatDelay(atMS - afterMS)
		}
	}
	d.lines = append(d.lines, line)
}

// message draws a message below a prefix; verb is what happened to it in its log,
// after the step at afterMS. What goes on from one message to one other stays in its
// column, so that long conversations fit.
func (d *drawing) message(m node.TraceMessage, prefix, verb string, afterMS int64) {
	d.heading(prefix + m.ID.String() + "  " + aboutMessage(m))
	straight := len(m.Effects) == 1 && len(m.Effects[0].Caused) == 1 && m.Cut == ""
	bar := prefix + "  "
	if len(m.Effects) > 0 || m.Cut != "" {
		bar = prefix + "│ "
	}
	if m.Elsewhere != "" {
		d.heading(bar + m.Elsewhere)
	}
	if m.Scheduled != nil {
		d.step(bar+verb, m.Scheduled.TimeMS, afterMS, d.aboutPlace(m.Scheduled))
		d.evaluation(m, bar)
		for i, effect := range m.Effects {
			branch, below := "├─ ", prefix+"│  "
			switch {
			case straight:
				branch, below = "↓ ", prefix
			case i == len(m.Effects)-1 && m.Cut == "":
				branch, below = "└─ ", prefix+"   "
			}
			d.effect(effect, prefix+branch, below, causeMS(m, effect))
		}
	}
	if m.Cut != "" {
		d.heading(prefix + "└─ … " + m.Cut)
	}
}

// causeMS is when the step was that had an effect delivered: the evaluation, if it was
// the same node that delivered; when another evaluated, nobody here knows.
func causeMS(m node.TraceMessage, effect node.TraceEffect) int64 {
	if m.Evaluated != nil && m.Evaluated.Node == effect.Node {
		return m.Evaluated.TimeMS
	}
	return m.Scheduled.TimeMS
}

func (d *drawing) evaluation(m node.TraceMessage, bar string) {
	if m.Evaluated == nil {
		if m.Cut == "" {
			d.step(bar+"waiting", 0, 0, "not evaluated yet")
		}
		return
	}
	var about []string
	if m.Evaluated.Node != "" {
		about = append(about, "here, on "+m.Evaluated.Node)
	}
	if gas := m.Evaluated.GasUsed; gas != nil {
		about = append(about, "gas "+groupDigits(*gas))
	}
	if m.Evaluated.Error != nil {
		about = append(about, "error: "+outputText(m.Evaluated.Error))
	}
	d.step(bar+"evaluated", m.Evaluated.TimeMS, m.Scheduled.TimeMS, strings.Join(about, ", "))
}

func (d *drawing) effect(effect node.TraceEffect, branch, below string, causeMS int64) {
	number := effect.Effect[strings.LastIndexByte(effect.Effect, '/')+1:]
	d.step(branch+effectVerb(effect)+" "+number, effect.TimeMS, causeMS, d.aboutEffect(effect))
	for _, caused := range effect.Caused {
		d.message(caused, below, "assigned", causeMS)
	}
}

// effectVerb says what became of an effect.
func effectVerb(effect node.TraceEffect) string {
	if effect.State != string(engine.EffectDone) {
		return effect.State
	}
	switch engine.EffectKind(effect.Kind) {
	case engine.EffectSpawn:
		return "spawned"
	case engine.EffectAssign:
		return "assigned"
	}
	if slices.ContainsFunc(effect.Caused, func(m node.TraceMessage) bool { return m.Reply }) {
		return "replied"
	}
	return "pushed"
}

func (d *drawing) aboutEffect(effect node.TraceEffect) string {
	about := effect.Kind
	if effect.Target != "" {
		about += " to " + shortID(effect.Target)
	}
	if effect.Attempts > 0 {
		about += ", " + countOf(effect.Attempts, "attempt")
	}
	if effect.Node != "" {
		about += " by " + effect.Node
	}
	switch engine.EffectState(effect.State) {
	case engine.EffectDead:
		d.hint("something is dead: wallaby outbox show " + effect.Effect)
	case engine.EffectParked:
		about += ": " + effect.Parked
		d.hint("something is parked: wallaby outbox parked")
	case engine.EffectPending:
		if effect.NextMS > 0 {
			about += ", next at " + time.UnixMilli(effect.NextMS).UTC().Format(time.TimeOnly)
		}
	}
	if effect.Error != "" && effect.State != string(engine.EffectParked) {
		about += ": " + effect.Error
	}
	return about
}

func (d *drawing) hint(text string) {
	if what, _, _ := strings.Cut(text, ":"); !slices.ContainsFunc(d.hints, func(h string) bool { return strings.HasPrefix(h, what) }) {
		d.hints = append(d.hints, text)
	}
}

func (d *drawing) aboutPlace(p *node.TracePlace) string {
	process := p.Process.String()
	if !slices.Contains(d.processes, process) {
		d.processes = append(d.processes, process)
	}
	about := fmt.Sprintf("nonce %d of %s", p.Nonce, shortID(process))
	if p.Tick > 0 {
		about = fmt.Sprintf("tick %d behind ", p.Tick) + about
	}
	if p.Epoch > 0 {
		about += fmt.Sprintf(", epoch %d", p.Epoch)
	}
	if p.Leader != "" {
		about += fmt.Sprintf(", group %d led by %s", p.Group, p.Leader)
	}
	return about
}

func aboutMessage(m node.TraceMessage) string {
	about := m.Action
	switch {
	case m.Kind == "process":
		about = strings.TrimSpace("process " + m.Name)
	case m.Kind == "tick":
		about = "tick of the cron " + m.Action
	case about == "":
		about = m.Kind
	}
	if m.From != "" {
		about += " from " + shortID(m.From)
	}
	return about
}

// shortID is enough of an id to tell it from others nearby.
func shortID(id string) string {
	if len(id) <= 12 {
		return id
	}
	return id[:8]
}

func dayOf(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }

func formatDelay(ms int64) string {
	switch {
	case ms < 10_000:
		return fmt.Sprintf("%+d ms", ms)
	case ms < 600_000:
		return fmt.Sprintf("+%.1f s", float64(ms)/1000)
	}
	return fmt.Sprintf("+%d min", ms/60_000)
}

// groupDigits writes 1234567 as 1,234,567.
func groupDigits(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
