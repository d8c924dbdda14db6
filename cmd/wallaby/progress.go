package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	barWidth = 24
	barEvery = 250 * time.Millisecond
)

// bar shows on a terminal how far long work is, in one line. Elsewhere it shows
// nothing, so that logs and scripts stay clean.
type bar struct {
	to    io.Writer // nil: nobody looks
	what  string
	begun time.Time
	told  time.Time
}

func (a *app) newBar(what string) *bar {
	b := &bar{what: what, begun: time.Now()}
	if isTerminal(a.stderr) {
		b.to = a.stderr
	}
	return b
}

// show draws done of total, which may be unknown (0).
func (b *bar) show(done, total uint64) {
	now := time.Now()
	if b.to == nil || now.Sub(b.told) < barEvery {
		return
	}
	b.told = now
	fmt.Fprintf(b.to, "\r\x1b[K%s", barText(b.what, done, total, now.Sub(b.begun)))
}

// close takes the line away.
func (b *bar) close() {
	if b.to != nil && !b.told.IsZero() {
		fmt.Fprint(b.to, "\r\x1b[K")
	}
}

func barText(what string, done, total uint64, passed time.Duration) string {
	text := fmt.Sprintf("%s %d", what, done)
	if total > 0 {
		filled := int(min(done, total) * barWidth / total)
		text = fmt.Sprintf("%s [%s%s] %d of %d", what, strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), done, total)
	}
	rate := float64(done) / max(passed.Seconds(), 1e-3)
	text += fmt.Sprintf(", %.0f/s", rate)
	if total > done && rate >= 1 {
		text += fmt.Sprintf(", %s to go", (time.Duration(float64(total-done)/rate) * time.Second).Round(time.Second))
	}
	return text
}
