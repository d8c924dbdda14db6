package project

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// FileName is the file that describes a project. A directory without one is a project in
// Lua with the usual limits.
const FileName = "wallaby.yaml"

// Project is a directory with a process.
type Project struct {
	Dir string `yaml:"-"`
	// Name is what the process is to be called.
	Name string `yaml:"name"`
	// Lang is the language: lua, c, go or rust.
	Lang string `yaml:"lang"`
	// Compiler is what compiles Go: go, which "" is too, or tinygo.
	Compiler string `yaml:"compiler"`
	// Flags are for the compiler, which Lua has none of.
	Flags []string `yaml:"flags"`
	// Files are more files that go into a module in Lua, as patterns of paths.
	Files []string `yaml:"files"`
	// MemoryLimit and ComputeLimit are tags of the module, as in "1-gb" and
	// "9000000000000"; "" leaves them to wallaby publish.
	MemoryLimit  string `yaml:"memory-limit"`
	ComputeLimit string `yaml:"compute-limit"`
	// Output is the module's file, beside FileName.
	Output string `yaml:"output"`

	// devCLI says that the project is one of the dev-cli.
	devCLI bool
}

// DefaultOutput is where the module goes unless the project says otherwise.
const DefaultOutput = "process.wasm"

// Open reads the project in a directory.
func Open(dir string) (*Project, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no directory")
	}
	if err != nil {
		return nil, fmt.Errorf("open project %s: %w", dir, err)
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open project %s: %w", dir, err)
	}
	p := &Project{Dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, FileName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := p.openDevConfig(); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("open project: %w", err)
	default:
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(p); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, FileName), err)
		}
	}
	if p.Name == "" {
		p.Name = filepath.Base(full)
	}
	if p.Lang == "" {
		p.Lang = "lua"
	}
	if p.Output == "" {
		p.Output = DefaultOutput
	}
	return p, p.check()
}

// openDevConfig reads a project of the dev-cli: what it is written in is seen by its files.
func (p *Project) openDevConfig() error {
	text, err := os.ReadFile(filepath.Join(p.Dir, DevConfigName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = p.readDevConfig(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(p.Dir, DevConfigName), err)
	}
	p.devCLI = true
	for _, one := range []struct{ lang, ending string }{{"lua", ".lua"}, {"c", ".c"}, {"rust", ".rs"}} {
		files, err := p.filesLike(one.ending)
		if err != nil {
			return err
		}
		if len(files) > 0 {
			p.Lang = one.lang
			break
		}
	}
	if p.Lang != "c" {
		p.Flags = nil // they are for a compiler of C
	}
	return nil
}

var (
	memoryLimit  = regexp.MustCompile(`^[1-9][0-9]*-(b|kb|mb|gb)$`)
	computeLimit = regexp.MustCompile(`^[1-9][0-9]*$`)
)

func (p *Project) check() error {
	file := filepath.Join(p.Dir, FileName)
	switch {
	case !slices.Contains(Languages(), p.Lang):
		return fmt.Errorf("%s: lang is %q: wallaby build makes modules of %s", file, p.Lang, strings.Join(Languages(), ", "))
	case len(p.Flags) > 0 && p.Lang == "lua":
		return fmt.Errorf("%s: flags are for a compiler, and lua needs none", file)
	case p.Compiler != "" && p.Lang != "go":
		return fmt.Errorf("%s: compiler is for go, which has two: go and tinygo", file)
	case len(p.Files) > 0 && p.Lang != "lua":
		return fmt.Errorf("%s: files are for lua: what is compiled brings its own (#include, go:embed, include_str!)", file)
	case p.MemoryLimit != "" && !memoryLimit.MatchString(p.MemoryLimit):
		return fmt.Errorf("%s: memory-limit is %q: write it as in 500-mb or 1-gb", file, p.MemoryLimit)
	case p.ComputeLimit != "" && !computeLimit.MatchString(p.ComputeLimit):
		return fmt.Errorf("%s: compute-limit is %q: it is a number of gas, such as 9000000000000", file, p.ComputeLimit)
	case !filepath.IsLocal(p.Output):
		return fmt.Errorf("%s: output is %q: name a file within the project", file, p.Output)
	}
	if _, err := p.goCompiler(); err != nil {
		return fmt.Errorf("%s: compiler is %q: %w", file, p.Compiler, err)
	}
	return nil
}

// Tags are those of the module that the project sets.
func (p *Project) Tags() (tags dataitem.Tags) {
	for _, tag := range []dataitem.Tag{{Name: ao.TagMemoryLimit, Value: p.MemoryLimit}, {Name: ao.TagComputeLimit, Value: p.ComputeLimit}} {
		if tag.Value != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}
