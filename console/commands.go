package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// command is one that begins with a dot.
type command struct {
	name, takes, does string
	run               func(c *Console, ctx context.Context, rest string) error
}

// commands lists them in the order in which .help does. It is a function, since some of
// them look at the list.
func commands() []command {
	return []command{
		{"help", "", "show this list", (*Console).help},
		{"load", "FILE", "evaluate a Lua file, and the files of yours that it requires", (*Console).load},
		{"load-blueprint", "NAME", "evaluate one of the blueprints; without a name, list them", (*Console).loadBlueprint},
		{"watch", "FILE", "load a file again each time it is saved; .unwatch ends that", (*Console).watch},
		{"unwatch", "", "watch no file any more", (*Console).unwatch},
		{"editor", "", "type several lines, then .done or .cancel", (*Console).editor},
		{"dryrun", "[CODE]", "evaluate code on a copy; without code, from now on or no more", (*Console).dryRun},
		{"state", "[@NONCE] [CODE]", "look at the state behind an earlier message; alone, back to now", (*Console).state},
		{"inbox", "[COUNT]", "show the newest messages that no handler took", (*Console).inbox},
		{"handlers", "", "list the process's handlers", (*Console).handlers},
		{"why", "[ID]", "tell why a message failed, the last unless you name one", (*Console).why},
		{"trace", "[ID]", "draw what became of a message, your last unless you name one", (*Console).trace},
		{"monitor", "", "have time pass for the process: its crons run", (*Console).monitor},
		{"unmonitor", "", "have its crons run no more", (*Console).unmonitor},
		{"list", "", "list your processes", (*Console).list},
		{"exit", "", "leave; the process goes on", (*Console).exit},
	}
}

func (c *Console) command(ctx context.Context, line string) error {
	name, rest, _ := strings.Cut(line[1:], " ")
	for _, one := range commands() {
		if one.name == name {
			return one.run(c, ctx, strings.TrimSpace(rest))
		}
	}
	return fmt.Errorf("there is no command .%s: .help lists them", name)
}

func (c *Console) help(context.Context, string) error {
	var text strings.Builder
	for _, one := range commands() {
		fmt.Fprintf(&text, "  %-28s %s\n", strings.TrimSpace("."+one.name+" "+one.takes), one.does)
	}
	c.Lines.Print(text.String() + "  anything else                is Lua, which the process evaluates")
	return nil
}

func (c *Console) exit(context.Context, string) error {
	c.done = true
	return nil
}

// editor takes lines until .done.
func (c *Console) editor(ctx context.Context, _ string) error {
	c.Lines.Print(c.dim("Type your lines, then .done to evaluate them or .cancel to forget them."))
	var lines []string
	for {
		line, err := c.Lines.Read(fmt.Sprintf("%3d ", len(lines)+1))
		switch {
		case errors.Is(err, ErrInterrupted), err == nil && strings.TrimSpace(line) == ".cancel":
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the lines ended before .done: nothing was evaluated")
		case err != nil:
			return err
		case strings.TrimSpace(line) == ".done":
			return c.Evaluate(ctx, strings.Join(lines, "\n"))
		}
		lines = append(lines, line)
	}
}

func (c *Console) dryRun(ctx context.Context, code string) error {
	if code != "" {
		result, err := c.try(ctx, code)
		if err == nil {
			c.show("", result)
		}
		return err
	}
	at, dry := c.look()
	switch {
	case at != nil:
		return errors.New("an earlier state cannot be changed anyway: .state goes back to now")
	case dry && !c.mine:
		return fmt.Errorf("the process belongs to %s: only with that wallet is what you type sent to it", c.Process.Owner)
	}
	c.setLook(nil, !dry)
	if !dry {
		c.Lines.Print(c.dim("From now on, what you type is tried on a copy. .dryrun ends that."))
	}
	return c.refreshPrompt(ctx)
}

// state looks at an earlier state, once or from now on.
func (c *Console) state(ctx context.Context, rest string) error {
	before, dry := c.look()
	dry = dry && before == nil || !c.mine
	if rest == "" {
		c.setLook(nil, dry)
		return c.refreshPrompt(ctx)
	}
	word, code, _ := strings.Cut(rest, " ")
	number, ok := strings.CutPrefix(word, "@")
	nonce, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("%q is no place: write .state @12, or .state @12 #Inbox", word)
	}
	at := &connect.Place{Nonce: nonce}
	if code != "" {
		result, err := c.tryAt(ctx, at, code)
		if err == nil {
			c.show("", result)
		}
		return err
	}
	c.setLook(at, dry)
	if err := c.refreshPrompt(ctx); err != nil {
		c.setLook(before, dry)
		return err
	}
	c.Lines.Print(c.dim(fmt.Sprintf("You look at the state behind nonce %d. What you type is tried on a copy of it; .state goes back to now.", nonce)))
	return nil
}

// ask evaluates code on a copy and shows the text that it gives, or another.
func (c *Console) ask(ctx context.Context, code, otherwise string) error {
	result, err := c.try(ctx, code)
	if err != nil {
		return err
	}
	if result.Error != nil {
		return errors.New(c.plain(textOf(result.Error)))
	}
	text, _ := outputOf(result)
	if text == "" {
		text = otherwise
	}
	c.Lines.Print(c.plain(text))
	return nil
}

const inboxDefault = 10

func (c *Console) inbox(ctx context.Context, rest string) error {
	count := inboxDefault
	if rest != "" {
		var err error
		if count, err = strconv.Atoi(rest); err != nil || count < 1 {
			return fmt.Errorf("%q is no number of messages", rest)
		}
	}
	return c.ask(ctx, fmt.Sprintf(`local lines = {}
for i = math.max(1, #Inbox - %d), #Inbox do
	local m = Inbox[i]
	local data = tostring(m.Data or ""):gsub("%%s+", " "):sub(1, 60)
	lines[#lines + 1] = string.format("%%4d  %%s  %%s  %%s", i, m.From, m.Action or "-", data)
end
return table.concat(lines, "\n")`, count-1), "The inbox is empty.")
}

func (c *Console) handlers(ctx context.Context, _ string) error {
	return c.ask(ctx, `local lines = {}
for i, h in ipairs(Handlers.list) do
	lines[#lines + 1] = string.format("%4d  %s%s", i, h.name, h.maxRuns and "  (" .. tostring(h.maxRuns) .. " more)" or "")
end
return table.concat(lines, "\n")`, "There are no handlers.")
}

func (c *Console) trace(ctx context.Context, message string) error {
	if message == "" {
		c.mu.Lock()
		message = c.last
		c.mu.Unlock()
	}
	if message == "" {
		return errors.New("you have sent nothing from here: .trace ID draws what became of another message")
	}
	if c.Trace == nil {
		return errors.New("this node does not tell what became of messages")
	}
	drawn, err := c.Trace(ctx, message)
	if err == nil {
		c.Lines.Print(c.plain(drawn))
	}
	return err
}

func (c *Console) monitor(ctx context.Context, _ string) error {
	err := c.Client.Monitor(ctx, c.Process.ID, c.Signer)
	if err == nil {
		c.Lines.Print("Time passes for the process: its crons run until .unmonitor.")
	}
	return err
}

func (c *Console) unmonitor(ctx context.Context, _ string) error {
	err := c.Client.Unmonitor(ctx, c.Process.ID, c.Signer)
	if err == nil {
		c.Lines.Print("Its crons run no more.")
	}
	return err
}

func (c *Console) list(ctx context.Context, _ string) error {
	found, err := c.Client.Find(ctx, dataitem.AddressOf(c.Signer.Owner()).String(), "")
	if err != nil {
		return err
	}
	c.Lines.Print(ListText(found, c.Process.ID.String()))
	return nil
}

// ListText lists processes, one a line; the one whose id is given is marked.
func ListText(found []connect.Found, marked string) string {
	if len(found) == 0 {
		return "There are no processes."
	}
	var lines []string
	for _, one := range found {
		mark := " "
		if one.ID.String() == marked {
			mark = "*"
		}
		lines = append(lines, fmt.Sprintf("%s %s  %s", mark, one.ID, one.Name))
	}
	return strings.Join(lines, "\n")
}

// Words are what the commands begin with, for completion.
func Words() (words []string) {
	for _, one := range commands() {
		words = append(words, "."+one.name)
	}
	slices.Sort(words)
	return words
}
