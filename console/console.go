package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Options say with which process a conversation is held, and how.
type Options struct {
	Client  *connect.Client
	Signer  dataitem.Signer
	Process connect.Found // whose Owner is what the process takes for it
	Lines   Lines
	Color   bool
	// Blueprint gives the code of a blueprint, and the names of all; nil: there are none.
	Blueprint func(name string) (code string, names []string)
	// Trace draws what became of a message; nil: it cannot be told.
	Trace func(ctx context.Context, message string) (string, error)
}

// Lines is where lines come from, and where the rest is printed.
type Lines interface {
	// Read gives the next line. The error is io.EOF at the end, or ErrInterrupted.
	Read(prompt string) (string, error)
	// Print shows a text above what is being typed. It may be called at any time.
	Print(text string)
	// Prompt changes what stands before the line that is being typed, from the next Print
	// on. It may be called at any time.
	Prompt(prompt string)
}

// ErrInterrupted says that somebody gave up what they were typing.
var ErrInterrupted = errors.New("interrupted")

// Console is a conversation. Its methods are for one goroutine.
type Console struct {
	Options
	mine    bool // the process is the signer's own
	done    bool
	stop    []func() // what runs beside the conversation
	watches map[string]func()

	// mu is for what files that are watched, and the stream of results, change, too.
	mu      sync.Mutex
	dry     bool           // nothing is sent
	at      *connect.Place // the state that is looked at; nil: the newest
	prompt  string
	own     map[string]bool // messages that were sent from here and are answered at once
	last    string          // message that was sent from here
	failure failure
}

// look says what is looked at, and whether what is typed is only tried.
func (c *Console) look() (at *connect.Place, dry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at, c.dry || c.at != nil
}

func (c *Console) setLook(at *connect.Place, dry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.dry = at, dry
}

func (c *Console) currentPrompt() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.prompt
}

// failure is the last message that came to an error.
type failure struct {
	message, text string
}

// New makes a console.
func New(o Options) *Console {
	return &Console{
		Options: o, own: map[string]bool{}, watches: map[string]func(){},
		mine: o.Process.Owner == dataitem.NativeAddress(o.Signer.Owner()),
	}
}

// Run converses until the lines end, or .exit.
func (c *Console) Run(ctx context.Context) error {
	if err := c.greet(ctx); err != nil {
		return err
	}
	defer c.close()
	c.beside(ctx, c.follow)
	for !c.done && ctx.Err() == nil {
		line, err := c.Lines.Read(c.currentPrompt())
		switch {
		case errors.Is(err, ErrInterrupted):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read a line: %w", err)
		}
		if err := c.Do(ctx, line); err != nil {
			c.complain(err)
		}
	}
	return ctx.Err()
}

// beside runs something until the conversation ends, or stop is called.
func (c *Console) beside(ctx context.Context, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { run(ctx) })
	stop = func() {
		cancel()
		wait.Wait()
	}
	c.stop = append(c.stop, stop)
	return stop
}

func (c *Console) close() {
	for _, stop := range c.stop {
		stop()
	}
}

// greet says whom one is talking to.
func (c *Console) greet(ctx context.Context) error {
	name := c.Process.Name
	if name == "" {
		name = "a process without a name"
	}
	c.Lines.Print(fmt.Sprintf("%s  %s\n%s", c.bold(name), c.Process.ID, c.dim(".help lists what can be done, .exit leaves")))
	if !c.mine {
		c.setLook(nil, true)
		c.Lines.Print(c.dim("It belongs to " + c.Process.Owner + " and not to your wallet: what you type is tried on a copy, and changes nothing."))
	}
	return c.refreshPrompt(ctx)
}

// refreshPrompt asks the process for its prompt.
func (c *Console) refreshPrompt(ctx context.Context) error {
	result, err := c.try(ctx, "nil")
	if err != nil {
		return err
	}
	c.takePrompt(result)
	return nil
}

// Do carries out a line: a command that begins with a dot, or code.
func (c *Console) Do(ctx context.Context, line string) error {
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return nil
	case strings.HasPrefix(line, ".") && !strings.HasPrefix(line, ".."):
		return c.command(ctx, line)
	}
	return c.Evaluate(ctx, line)
}

// complain shows an error and what can be done about it.
func (c *Console) complain(err error) {
	text := err.Error()
	if ao.CodeOf(err) == ao.CodeUnavailable {
		text += "\nNothing is lost: what was acknowledged is in the log. Try again when the node is back."
	}
	c.Lines.Print(c.red(text))
}

func (c *Console) painted(code, text string) string {
	if !c.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (c *Console) bold(text string) string { return c.painted("1", text) }
func (c *Console) dim(text string) string  { return c.painted("90", text) }
func (c *Console) red(text string) string  { return c.painted("31", text) }
