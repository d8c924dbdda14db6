package console

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCodeIsCompleteWhereNothingIsOpen(t *testing.T) {
	for code, want := range map[string]bool{
		"": true, "1 + 1": true, "return {1, 2}": true, "f()": true, "end": true, ")": true, "if x then return end": true,
		"function f() return 1 end": true, "repeat x = 1 until x": true, "while a do b() end": true,
		"if a then b() elseif c then d() else e() end": true, `"do"`: true, `'if x then'`: true, "-- do": true, "--[[ do ]] 1": true, "[[ do ]]": true,
		"[==[ ]] ]==]": true, `"a\"do"`: true, `x = "open`: true, "ending = 1": true, "redo": true, "t[1]": true, "-- [[ do": true, "a['do']": true,
		"function f()": false, "for i = 1, 2 do": false, "if a then": false, "if a then b() elseif c then": false, "repeat": false, "f(": false, "{": false,
		"[[ open": false, "[=[ ]]": false, "--[[ open": false, `"goes on\` + "\n": false, "t[": false, "x = function() if y then end": false,
	} {
		if got := Complete(code); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
}

func TestASourceBringsWhatItRequires(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main.lua": "local a = require('a')\nlocal j = require \"json\"\nreturn a", "a.lua": "return require(\"lib.b\")", "lib/b.lua": "return [[x]]",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, files, err := Source(filepath.Join(dir, "main.lua"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dir, "main.lua"), filepath.Join(dir, "lib/b.lua"), filepath.Join(dir, "a.lua")}; !cmp.Equal(files, want) {
		t.Errorf("%v", files)
	}
	if !strings.Contains(code, `package.preload["lib.b"] = assert(load([=[`+"\nreturn [[x]]]=], ") || strings.Contains(code, `preload["json"]`) || !strings.HasSuffix(code, "return a") {
		t.Error(code)
	}
	if _, _, err := Source(filepath.Join(dir, "none.lua")); err == nil {
		t.Error("a file that is not there")
	}
	if err := os.WriteFile(filepath.Join(dir, "big.lua"), make([]byte, sourceBytesMax+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Source(filepath.Join(dir, "big.lua")); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("%v", err)
	}
}

// TestStrangersOnlyColourTheTerminal: what processes print comes from strangers, and
// could move the cursor, set the title or answer for the person who types.
func TestStrangersOnlyColourTheTerminal(t *testing.T) {
	text := "\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07 bell\x07 \x1b[6n\r\u009b2J tab\tline\n"
	if got := (&Console{Options: Options{Color: true}}).plain(text); got != "\x1b[31mred\x1b[0m ]0;title bell 2J tab\tline\n" {
		t.Errorf("%q", got)
	}
	if got := (&Console{}).plain(text); got != "red ]0;title bell 2J tab\tline\n" {
		t.Errorf("%q", got)
	}
}

func TestPlainLinesGoOnWithinABlock(t *testing.T) {
	var out strings.Builder
	lines := NewPlain(strings.NewReader("a = 1\nfunction f()\n  return 1\nend\n.load x(\nf("), &out)
	for _, want := range []string{"a = 1", "function f()\n  return 1\nend", ".load x(", "f(\n"} {
		if got, err := lines.Read(""); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if _, err := lines.Read(""); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if lines.Print("x"); out.String() != "x\n" {
		t.Errorf("%q", out.String())
	}
}
