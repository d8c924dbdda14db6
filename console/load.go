package console

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// sourceBytesMax bounds what .load sends.
const sourceBytesMax = 8 << 20

// watchPoll is how often a watched file is looked at.
const watchPoll = 200 * time.Millisecond

func (c *Console) load(ctx context.Context, rest string) error {
	if rest == "" {
		return errors.New("name a file: .load process.lua")
	}
	code, files, err := Source(rest)
	if err != nil {
		return err
	}
	c.Lines.Print(c.dim(fmt.Sprintf("Loading %s", strings.Join(files, ", "))))
	return c.Evaluate(ctx, code)
}

// required finds what a file requires.
var required = regexp.MustCompile(`require\s*\(?\s*["']([^"']+)["']`)

// Source reads a Lua file and puts before it the files that it requires, as far as they
// lie beside it: the process knows the others. A name lib.shop is lib/shop.lua.
func Source(path string) (code string, files []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("load: %w", err)
	}
	s := &sources{dir: filepath.Dir(path), seen: map[string]bool{}, files: []string{path}}
	if err := s.add(string(text)); err != nil {
		return "", nil, err
	}
	code = s.code.String() + string(text)
	if len(code) > sourceBytesMax {
		return "", nil, fmt.Errorf("%s and what it requires have %d bytes: at most %d are sent at once", path, len(code), sourceBytesMax)
	}
	return code, s.files, nil
}

type sources struct {
	dir   string
	seen  map[string]bool
	files []string
	code  strings.Builder
}

// add puts what a text requires into package.loaded, the innermost first.
func (s *sources) add(text string) error {
	for _, match := range required.FindAllStringSubmatch(text, -1) {
		name := match[1]
		if s.seen[name] {
			continue
		}
		s.seen[name] = true
		path := filepath.Join(s.dir, strings.ReplaceAll(strings.TrimPrefix(name, "."), ".", string(filepath.Separator))+".lua")
		inner, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the process has it, or says that it does not
		}
		if err != nil {
			return fmt.Errorf("load what requires %q: %w", name, err)
		}
		if err := s.add(string(inner)); err != nil {
			return err
		}
		s.files = append(s.files, path)
		fmt.Fprintf(&s.code, "package.loaded[%q] = nil; package.preload[%q] = assert(load(%s, %q))\n", name, name, longString(string(inner)), "@"+path)
	}
	return nil
}

// longString writes a text as a long string of Lua, whose first line end is not part of
// it.
func longString(text string) string {
	level := ""
	for strings.Contains(text, "]"+level+"]") || strings.HasSuffix(text, "]"+level) {
		level += "="
	}
	return "[" + level + "[\n" + text + "]" + level + "]"
}

func (c *Console) loadBlueprint(ctx context.Context, name string) error {
	if c.Blueprint == nil {
		return errors.New("there are no blueprints here")
	}
	code, names := c.Blueprint(name)
	switch {
	case name == "":
		c.Lines.Print("Blueprints: " + strings.Join(names, ", "))
		return nil
	case code == "":
		return fmt.Errorf("there is no blueprint %q: take %s", name, strings.Join(names, ", "))
	}
	return c.Evaluate(ctx, code)
}

// watch loads a file each time that it has changed.
func (c *Console) watch(ctx context.Context, path string) error {
	if path == "" {
		return errors.New("name a file: .watch process.lua")
	}
	if err := c.load(ctx, path); err != nil {
		return err
	}
	if stop := c.watches[path]; stop != nil {
		return nil
	}
	seen := stamp(path)
	c.watches[path] = c.beside(ctx, func(ctx context.Context) {
		for ; ctx.Err() == nil; c.pause(ctx, watchPoll) {
			now := stamp(path)
			if now == seen || now == "" { // an editor may be writing it
				continue
			}
			seen = now
			if err := c.load(ctx, path); err != nil && ctx.Err() == nil {
				c.complain(err)
			}
		}
	})
	return nil
}

// stamp tells versions of a file and of what it requires apart; "": it cannot be read.
func stamp(path string) string {
	_, files, err := Source(path)
	if err != nil {
		return ""
	}
	var all strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return ""
		}
		fmt.Fprintf(&all, "%s %d %d\n", file, info.Size(), info.ModTime().UnixNano())
	}
	return all.String()
}

func (c *Console) unwatch(context.Context, string) error {
	for path, stop := range c.watches {
		stop()
		delete(c.watches, path)
	}
	return nil
}
