// Package transcript reads commands and what they print out of documentation, so
// that a test runs what a page shows and compares.
package transcript

import (
	"fmt"
	"strings"
)

// Block is a fenced block of a page that has commands: "$ command" and below it
// what that prints, or commands alone, one to a line. A command goes on in the next
// line behind a backslash.
//
// HTML comments right above a block, which no reader sees, say how it is run:
//
//	<!-- session -->          in a new directory, with nothing running
//	<!-- before: SHELL -->    after these commands, whose output is not looked at
//	<!-- needs: WHAT -->      only where that is there
//	<!-- not run: REASON -->  not at all
type Block struct {
	Line    int
	Session bool
	Before  []Step
	Needs   string
	NotRun  string
	Steps   []Step
}

// Step is one command and the lines that it is to print; nil when the page does not
// show them.
type Step struct {
	Line    int
	Command string
	Want    []string
}

// Read gives the blocks of a page. Blocks in a language other than sh are no
// commands.
func Read(page string) ([]Block, error) {
	var blocks []Block
	var next Block
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if comment, ok := strings.CutPrefix(line, "<!-- "); ok {
			if err := next.direct(strings.TrimSpace(strings.TrimSuffix(comment, "-->")), i+1); err != nil {
				return nil, err
			}
			continue
		}
		language, fence := strings.CutPrefix(line, "```")
		if !fence {
			if strings.TrimSpace(line) != "" {
				next = Block{}
			}
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		if end == len(lines) {
			return nil, fmt.Errorf("line %d: the block does not end", i+1)
		}
		if language == "" || language == "sh" {
			next.Line = i + 1
			next.Steps = steps(lines[i+1:end], i+2)
			blocks = append(blocks, next)
		}
		next, i = Block{}, end
	}
	return blocks, nil
}

// direct takes one comment above a block; others than those above are left alone.
func (b *Block) direct(comment string, line int) error {
	name, value, _ := strings.Cut(comment, ":")
	value = strings.TrimSpace(value)
	switch name {
	case "session":
		b.Session = true
	case "before":
		b.Before = append(b.Before, Step{Line: line, Command: value})
	case "needs":
		b.Needs = value
	case "not run":
		if value == "" {
			return fmt.Errorf("line %d: say why the block is not run", line)
		}
		b.NotRun = value
	}
	return nil
}

// steps takes a block apart. When it has no line with a prompt, every line is a
// command.
func steps(lines []string, first int) []Step {
	prompts := false
	for _, line := range lines {
		prompts = prompts || strings.HasPrefix(line, "$ ")
	}
	var all []Step
	for i := 0; i < len(lines); i++ {
		command, isCommand := strings.CutPrefix(lines[i], "$ ")
		if prompts && !isCommand {
			if len(all) > 0 {
				last := &all[len(all)-1]
				last.Want = append(last.Want, lines[i])
			}
			continue
		}
		step := Step{Line: first + i, Command: command}
		for strings.HasSuffix(step.Command, "\\") && i+1 < len(lines) {
			i++
			step.Command = strings.TrimSuffix(step.Command, "\\") + strings.TrimSpace(lines[i])
		}
		if strings.TrimSpace(step.Command) != "" {
			all = append(all, step)
		}
	}
	return all
}
