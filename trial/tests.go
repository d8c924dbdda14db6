package trial

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/project"
	"github.com/wallaby-ao/wallaby/vm"
)

//go:embed guest/boot.lua
var guestBoot []byte

// Tests runs the tests of a project, each in a world of its own.
type Tests struct {
	Project *project.Project
	Driver  vm.Driver
	// Module gives the module in a file, or makes it of the project in a directory. It is
	// signed by whomever.
	Module func(ctx context.Context, path string) (*dataitem.Item, error)
	// Match says which tests are run; nil: all.
	Match func(name string) bool
	// Report is told of each test when it is through.
	Report func(Outcome)
}

// Outcome is what came of one test.
type Outcome struct {
	Name string `json:"name"`
	File string `json:"file"` // of the project, e.g. "shop_test.lua"
	Line int    `json:"line"`
	// Failure says what went wrong, with file and line; "": nothing did.
	Failure string        `json:"failure,omitempty"`
	Trace   []string      `json:"trace,omitempty"`
	Printed []string      `json:"printed,omitempty"`
	Took    time.Duration `json:"-"`
}

// ErrNoTests says that a project has none.
var ErrNoTests = errors.New("there are no tests: write some into files that end in _test.lua, or into test/")

// LoadError lists the test files that cannot be loaded, each as "file:line: what".
type LoadError struct{ Problems []string }

// Error gives them one after the other.
func (e *LoadError) Error() string { return strings.Join(e.Problems, "; ") }

type listedTest struct {
	Name, File string
	Line       int
}

// Run runs all tests that match and counts them.
func (t *Tests) Run(ctx context.Context) (passed, failed int, err error) {
	guest, err := t.guest(ctx)
	if err != nil {
		return 0, 0, err
	}
	// Every test is told from the same list, in a guest of its own.
	listed, err := t.list(ctx, guest)
	if err != nil {
		return 0, 0, err
	}
	made := map[string]*dataitem.Item{} // by path, for all tests
	for i, one := range listed {
		if t.Match != nil && !t.Match(one.Name) {
			continue
		}
		outcome, err := t.run(ctx, guest, made, i+1, one)
		if err != nil {
			return passed, failed, fmt.Errorf("%s:%d: test %q: %w", one.File, one.Line, one.Name, err)
		}
		if outcome.Failure == "" {
			passed++
		} else {
			failed++
		}
		t.Report(outcome)
	}
	return passed, failed, nil
}

// guest packs the test files, what they may require, and what runs them.
func (t *Tests) guest(ctx context.Context) (vm.Module, error) {
	names, files, err := t.Project.TestFiles()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, ErrNoTests
	}
	files[".boot"] = guestBoot
	for _, name := range []string{"json", ".utils", ".bint", ".base64", ".crypto"} {
		files[name] = lua.Library()[name]
	}
	runtime, err := lua.Runtime()
	if err != nil {
		return nil, err
	}
	packed, err := lua.Pack(runtime, files)
	if err != nil {
		return nil, fmt.Errorf("pack the tests: %w", err)
	}
	return t.Driver.Load(ctx, vm.Source{Format: lua.Format, Bytes: packed})
}

// list loads the test files.
func (t *Tests) list(ctx context.Context, code vm.Module) (listed []listedTest, err error) {
	g, err := openGuest(ctx, code)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	return t.load(ctx, g)
}

func (t *Tests) load(ctx context.Context, g guest) ([]listedTest, error) {
	names, _, err := t.Project.TestFiles()
	if err != nil {
		return nil, err
	}
	var answer struct {
		Tests    []listedTest
		Problems []string
	}
	if err := g.ask(ctx, map[string]any{"Load": names}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Problems) > 0 {
		return nil, &LoadError{answer.Problems}
	}
	if len(answer.Tests) == 0 {
		return nil, ErrNoTests
	}
	return answer.Tests, nil
}

// run runs one test to its end.
func (t *Tests) run(ctx context.Context, code vm.Module, made map[string]*dataitem.Item, number int, one listedTest) (outcome Outcome, err error) {
	begun := time.Now()
	g, err := openGuest(ctx, code)
	if err != nil {
		return outcome, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	if _, err := t.load(ctx, g); err != nil {
		return outcome, err
	}
	world, err := NewWorld(t.Driver)
	if err != nil {
		return outcome, err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	s := newScript(world, func(ctx context.Context, path string) (item *dataitem.Item, err error) {
		path = filepath.Join(t.Project.Dir, path)
		if made[path] == nil {
			made[path], err = t.Module(ctx, path)
		}
		return made[path], err
	})
	var said struct {
		Done    bool
		Failure *struct {
			Error string
			Trace []string
		}
		Printed []string
		Request request
	}
	var next any = map[string]any{"Run": number}
	for {
		said.Request = request{}
		err := g.ask(ctx, next, &said)
		if errors.Is(err, vm.ErrOutOfGas) {
			outcome = Outcome{Name: one.Name, File: one.File, Line: one.Line, Failure: "it computes for too long: is there a loop without an end?", Took: time.Since(begun)}
			return outcome, nil
		}
		if err != nil {
			return outcome, err
		}
		if said.Done {
			break
		}
		value, problem := s.do(ctx, said.Request)
		if ctx.Err() != nil {
			return outcome, ctx.Err()
		}
		answer := map[string]any{"Value": value}
		if problem != nil {
			answer = map[string]any{"Error": problem.Error()}
		}
		next = map[string]any{"Answer": answer}
	}
	outcome = Outcome{Name: one.Name, File: one.File, Line: one.Line, Printed: said.Printed, Took: time.Since(begun)}
	if said.Failure != nil {
		outcome.Failure, outcome.Trace = said.Failure.Error, said.Failure.Trace
	}
	return outcome, nil
}

// guest is what tests run in.
type guest struct{ vm.Process }

// guestGas bounds how long a test computes between two requests.
const guestGas = 1 << 33

func openGuest(ctx context.Context, code vm.Module) (guest, error) {
	process, err := code.New(ctx, vm.Config{}, nil)
	if err != nil {
		return guest{}, fmt.Errorf("start what runs the tests: %w", err)
	}
	return guest{process}, nil
}

func (g guest) ask(ctx context.Context, message, to any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	output, err := g.Handle(ctx, vm.Call{Message: b, Env: []byte("{}"), GasLimit: guestGas})
	if err != nil {
		return err
	}
	return json.Unmarshal(output.Response, to)
}
