package console

import "strings"

// Complete reports whether a piece of Lua ends where a person may end it: no bracket, block
// or string is open. It knows words, strings and comments, and no grammar; the process
// says what else is wrong.
func Complete(code string) bool {
	s := scan{rest: code}
	for s.next() {
		switch s.token {
		case "(", "{", "[", "do", "then", "function", "repeat":
			s.depth++
		case ")", "}", "]", "end", "until":
			s.depth--
		case "elseif":
			s.depth-- // its then opens again
		}
	}
	return s.open == "" && s.depth <= 0
}

// scan reads the tokens of Lua that matter to Complete.
type scan struct {
	rest, token string
	depth       int
	open        string // what a string or comment that has no end lacks
}

func (s *scan) next() bool {
	for s.rest != "" && s.open == "" {
		switch c := s.rest[0]; {
		case strings.HasPrefix(s.rest, "--"):
			s.rest = s.rest[2:]
			if end, ok := longEnd(s.rest); ok {
				s.skipPast(end)
			} else if _, after, ok := strings.Cut(s.rest, "\n"); ok {
				s.rest = after
			} else {
				s.rest = ""
			}
		case c == '"' || c == '\'':
			s.skipQuoted(c)
		case isWord(c):
			end := 1
			for end < len(s.rest) && isWord(s.rest[end]) {
				end++
			}
			s.token, s.rest = s.rest[:end], s.rest[end:]
			return true
		default:
			if end, ok := longEnd(s.rest); ok {
				s.skipPast(end)
				continue
			}
			s.token, s.rest = s.rest[:1], s.rest[1:]
			return true
		}
	}
	return false
}

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// longEnd gives what ends a long string that begins here, e.g. "]==]".
func longEnd(text string) (end string, ok bool) {
	if !strings.HasPrefix(text, "[") {
		return "", false
	}
	level := 0
	for level+1 < len(text) && text[level+1] == '=' {
		level++
	}
	if level+1 >= len(text) || text[level+1] != '[' {
		return "", false
	}
	return "]" + strings.Repeat("=", level) + "]", true
}

func (s *scan) skipPast(end string) {
	_, after, ok := strings.Cut(s.rest, end)
	if !ok {
		s.open = end
	}
	s.rest = after
}

func (s *scan) skipQuoted(quote byte) {
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			if i++; i == len(s.rest)-1 && s.rest[i] == '\n' {
				s.open = string(quote) // the string goes on in the next line
				return
			}
		case '\n':
			s.rest = s.rest[i:] // a mistake, which the process tells
			return
		case quote:
			s.rest = s.rest[i+1:]
			return
		}
	}
	if strings.HasSuffix(s.rest, "\\") {
		s.open = string(quote)
	}
	s.rest = ""
}
