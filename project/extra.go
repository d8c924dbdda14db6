package project

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/wallaby-ao/wallaby/lua"
)

// readExtra reads the files that wallaby.yaml names beside those of the directory. One in
// Lua is required by its path with dots, as others are. Any other is data: required by its
// path as it is, it gives its text. What lies above the directory, as in ../shared/x.lua, has
// the name that it has from there: shared.x.
func (p *Project) readExtra(into lua.Files) error {
	for _, pattern := range p.Files {
		paths, err := filepath.Glob(filepath.Join(literal(p.Dir), pattern))
		if err != nil {
			return fmt.Errorf("%s: files: %q: %w", filepath.Join(p.Dir, FileName), pattern, err)
		}
		found := false
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil {
				return fmt.Errorf("read the project's files: %w", err)
			}
			if info.IsDir() {
				continue
			}
			found = true
			if err := p.readOneExtra(path, into); err != nil {
				return err
			}
		}
		if !found {
			return fmt.Errorf("%s: files: there is no file %s: paths begin at the project's directory, and * stands for any name", filepath.Join(p.Dir, FileName), pattern)
		}
	}
	return nil
}

// literal gives a path as the pattern that matches it alone.
func literal(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func (p *Project) readOneExtra(path string, into lua.Files) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the project's files: %w", err)
	}
	name, err := filepath.Rel(p.Dir, path)
	if err != nil {
		return fmt.Errorf("read the project's files: %w", err)
	}
	for name = filepath.ToSlash(name); strings.HasPrefix(name, "../"); {
		name = strings.TrimPrefix(name, "../")
	}
	if base, isLua := strings.CutSuffix(name, ".lua"); isLua {
		name = strings.ReplaceAll(base, "/", ".")
	} else {
		text = append([]byte("return "), quoteLua(text)...)
	}
	if have, ok := into[name]; ok && !bytes.Equal(have, text) {
		return fmt.Errorf("%s: another file is called %s, too", path, name)
	}
	into[name] = text
	return nil
}

// quoteLua writes a text as Lua does: in long brackets, which are nearly as short as the
// text, or with escapes if it has line ends that those would change.
func quoteLua(text []byte) []byte {
	if !bytes.ContainsRune(text, '\r') {
		level := ""
		for bytes.Contains(text, []byte("]"+level+"]")) || bytes.HasSuffix(text, []byte("]"+level)) {
			level += "="
		}
		return fmt.Appendf(nil, "[%s[\n%s]%s]", level, text, level)
	}
	quoted := []byte{'"'}
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted = fmt.Appendf(quoted, "\\%03d", c)
		} else {
			quoted = append(quoted, c)
		}
	}
	return append(quoted, '"')
}
