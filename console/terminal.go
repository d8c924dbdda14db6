package console

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/reeflective/readline"
)

// Terminal are lines that somebody types, with history, completion and several lines
// where a block is open. It takes the process's standard input and output.
type Terminal struct {
	shell *readline.Shell

	mu      sync.Mutex
	prompt  string
	reading bool
	// complete gives what the word at the end of a line may go on with; nil: nothing.
	complete func(line string) (word string, all []string)
}

// NewTerminal keeps history in a file; "": it is forgotten.
func NewTerminal(historyFile string) *Terminal {
	t := &Terminal{shell: readline.NewShell()}
	// While the terminal is asked where its cursor is, keys that come together with its
	// answer are lost. The prompt's width says it, too.
	_ = t.shell.Config.Set("cursor-position-probe", false) // it can be set
	t.shell.Prompt.Primary(func() string {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.prompt
	})
	t.shell.Prompt.Secondary(func() string { return "… " })
	t.shell.AcceptMultiline = func(line []rune) bool { return isCommand(string(line)) || Complete(string(line)) }
	t.shell.Completer = t.completions
	if historyFile != "" {
		t.shell.History.AddFromFile("console", historyFile)
	}
	return t
}

func isCommand(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), ".") }

// Read lets somebody type a line.
func (t *Terminal) Read(prompt string) (string, error) {
	t.mu.Lock()
	t.prompt, t.reading = prompt, true
	t.mu.Unlock()
	line, err := t.shell.Readline()
	t.mu.Lock()
	t.reading = false
	t.mu.Unlock()
	if errors.Is(err, readline.ErrInterrupt) {
		if line == "" {
			return "", io.EOF // Ctrl-C on an empty line leaves
		}
		return "", ErrInterrupted
	}
	return line, err
}

// Prompt changes what stands before the line from when that is drawn again.
func (t *Terminal) Prompt(prompt string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prompt = prompt
}

// Print shows a text above the line that is being typed.
func (t *Terminal) Print(text string) {
	t.mu.Lock()
	reading := t.reading
	t.mu.Unlock()
	if reading {
		_, _ = t.shell.PrintTransientf("%s", strings.ReplaceAll(text, "\n", "\r\n")) // the terminal is there
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Println(text)
}

// CompleteWith says who knows what a word may go on with.
func (t *Terminal) CompleteWith(complete func(line string) (word string, all []string)) {
	t.complete = complete
}

func (t *Terminal) completions(line []rune, cursor int) readline.Completions {
	if t.complete == nil {
		return readline.Completions{}
	}
	word, all := t.complete(string(line[:cursor]))
	values := readline.CompleteValues(all...).NoSpace()
	values.PREFIX = word
	return values
}
