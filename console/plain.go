package console

import (
	"bufio"
	"fmt"
	"io"
	"sync"
)

// Plain are lines of a pipe or a file: there is no prompt, and nothing to edit. Lines that
// end within a block go on.
type Plain struct {
	lines *bufio.Scanner
	mu    sync.Mutex
	out   io.Writer
}

// NewPlain reads and writes as told.
func NewPlain(in io.Reader, out io.Writer) *Plain {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, sourceBytesMax)
	return &Plain{lines: lines, out: out}
}

// Read gives the next line that is complete.
func (p *Plain) Read(string) (string, error) {
	text := ""
	for p.lines.Scan() {
		text += p.lines.Text()
		if isCommand(text) || Complete(text) {
			return text, nil
		}
		text += "\n"
	}
	if err := p.lines.Err(); err != nil {
		return "", err
	}
	if text != "" {
		return text, nil // the process says what is missing
	}
	return "", io.EOF
}

// Prompt does nothing: there is none.
func (p *Plain) Prompt(string) {}

// Print writes a text and a line end.
func (p *Plain) Print(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.out, text)
}
