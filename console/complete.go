package console

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// completeWait bounds how long a completion waits for the process.
const completeWait = 2 * time.Second

var (
	// chain is a word of Lua with what it is a field of.
	chain = regexp.MustCompile(`(?:[A-Za-z_][A-Za-z0-9_]*[.:])*[A-Za-z_]?[A-Za-z0-9_]*$`)
	// inHandlers is the name of a handler that is being typed.
	inHandlers = regexp.MustCompile(`Handlers\.[a-z]+\(\s*["']([^"']*)$`)
)

var keywords = []string{
	"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not", "or",
	"repeat", "return", "then", "true", "until", "while",
}

// Candidates gives what the word at the end of a line may go on with: commands, files, and
// what the process has of globals, fields and handlers.
func (c *Console) Candidates(line string) (word string, all []string) {
	ctx, cancel := context.WithTimeout(context.Background(), completeWait)
	defer cancel()
	name, rest, isArgument := strings.Cut(strings.TrimLeft(line, " "), " ")
	switch {
	case strings.HasPrefix(name, ".") && !isArgument:
		return name, startingWith(Words(), name)
	case name == ".load" || name == ".watch":
		return rest, luaFiles(rest)
	case name == ".load-blueprint" && c.Blueprint != nil:
		_, names := c.Blueprint("")
		return rest, startingWith(names, rest)
	}
	if match := inHandlers.FindStringSubmatch(line); match != nil {
		return match[1], startingWith(c.names(ctx, `for _, h in ipairs(Handlers.list) do names[#names + 1] = h.name end`), match[1])
	}
	word = chain.FindString(line)
	at := strings.LastIndexAny(word, ".:")
	if at < 0 {
		if word == "" {
			return "", nil
		}
		return word, startingWith(append(c.names(ctx, listKeys("_G")), keywords...), word)
	}
	path := strings.ReplaceAll(word[:at], ":", ".")
	fields := c.names(ctx, listKeys(path))
	for i := range fields {
		fields[i] = word[:at+1] + fields[i]
	}
	return word, startingWith(fields, word)
}

// listKeys is code that lists the keys of a table that are words.
func listKeys(table string) string {
	return fmt.Sprintf(`for k in pairs(%s) do if type(k) == "string" and k:match("^[%%a_][%%w_]*$") then names[#names + 1] = k end end`, table)
}

// names has the process list names; none, if it cannot.
func (c *Console) names(ctx context.Context, list string) []string {
	result, err := c.try(ctx, "local names = {} "+list+" return table.concat(names, '\\n')")
	if err != nil || result.Error != nil {
		return nil
	}
	text, _ := outputOf(result)
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func startingWith(all []string, word string) []string {
	all = slices.DeleteFunc(slices.Clone(all), func(one string) bool { return !strings.HasPrefix(one, word) })
	slices.Sort(all)
	return slices.Compact(all)
}

// luaFiles lists directories and Lua files.
func luaFiles(begun string) (all []string) {
	for _, pattern := range []string{begun + "*.lua", begun + "*/"} {
		matches, _ := filepath.Glob(pattern) // a pattern that is none matches nothing
		for _, match := range matches {
			if strings.HasSuffix(pattern, "/") {
				match = strings.TrimSuffix(match, "/") + "/"
			}
			all = append(all, match)
		}
	}
	return all
}
