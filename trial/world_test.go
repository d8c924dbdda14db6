package trial_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/project"
	"github.com/wallaby-ao/wallaby/trial"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

func driver(t *testing.T) vm.Driver {
	t.Helper()
	if _, err := lua.Runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	d, err := wazero.NewDriver(wazero.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// module makes the module of a process.lua.
func module(t *testing.T, source string) *dataitem.Item {
	t.Helper()
	runtime, err := lua.Runtime()
	if err != nil {
		t.Fatal(err)
	}
	code, err := lua.Module(runtime, lua.Files{"process": []byte(source)})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := trial.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	item, err := node.ModuleItem(code, nil, signer)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func world(t *testing.T, d vm.Driver) *trial.World {
	t.Helper()
	w, err := trial.NewWorld(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func post(t *testing.T, w *trial.World) func(*dataitem.Item, error) ao.ID {
	return func(item *dataitem.Item, err error) ao.ID {
		t.Helper()
		if err == nil {
			_, err = w.Post(t.Context(), item)
		}
		if err == nil {
			_, err = w.Run(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return item.ID()
	}
}

func tag(name, value string) dataitem.Tags { return dataitem.Tags{{Name: name, Value: value}} }

// life has a process that spawns another, writes to it and to a person, and has crons.
const life = `
Handlers.add("begin", "Begin", function(m)
	Spawn(ao.env.Module.Id, { Tags = { Name = "child", Authority = ao.authorities[1] } })
end)
Handlers.add("spawned", "Spawned", function(m)
	Child = m.Process
	Send({ Target = Child, Action = "Hello", Data = "from above" })
	Send({ Target = Owner, Action = "Born", Child = Child })
end)
Handlers.add("hello", "Hello", function(m) m.reply({ Action = "Hello-Back", Data = m.Data }) end)
Handlers.add("back", "Hello-Back", function(m) Heard = m.Data .. " of " .. m.From:sub(1, 3) .. " at " .. m.Timestamp end)
Ticks = ""
Handlers.add("tick", "Tick", function(m) Ticks = Ticks .. (m.Timestamp - 1767225600000) // 1000 .. "@" .. m["Block-Height"] .. " " end)
`

// TestAWorldIsTheSameEveryTime has processes spawn, write and keep time, twice.
func TestAWorldIsTheSameEveryTime(t *testing.T) {
	d := driver(t)
	var histories [2]bytes.Buffer
	for i := range histories {
		w := world(t, d)
		w.Watch = func(s trial.Step) {
			if s.Failure != nil || len(s.Undelivered) > 0 {
				t.Errorf("%v %v", s.Failure, s.Undelivered)
			}
			fmt.Fprintf(&histories[i], "%s %d %s %s\n", s.Process, s.TimeMS, s.Cron, s.Result.JSON())
		}
		id := w.AddModule(module(t, life))
		send := post(t, w)
		parent := send(w.Spawn(id, trial.Message{From: "alice", Tags: append(tag("Cron-Interval", "50-seconds"), tag("Cron-Tag-Action", "Tick")...)}))
		send(w.Message(parent, trial.Message{From: "bob", Tags: tag("Action", "Begin")}))
		if n := len(w.Processes()); n != 2 {
			t.Fatalf("there are %d processes", n)
		}
		alice, err := w.Address("alice")
		if err != nil {
			t.Fatal(err)
		}
		if mail := w.Mail(alice); len(mail) != 1 || mail[0].Tags.Get("Child") != w.Processes()[1].String() || mail[0].Tags.Get(ao.TagFromProcess) != parent.String() {
			t.Errorf("alice got %v", mail)
		}
		steps, err := w.Advance(t.Context(), 160_000)
		if err != nil || len(steps) != 3 {
			t.Fatalf("%d steps, %v", len(steps), err)
		}
		send(w.Message(parent, trial.Message{From: "alice", Tags: tag("Action", "Eval"), Data: "return Heard .. '; ' .. Ticks"}))
	}
	if a, b := histories[0].String(), histories[1].String(); a != b {
		t.Errorf("the second time it was otherwise:\n%s\n%s", a, b)
	}
	for _, want := range []string{"from above of ", " at 1767225600006; 50@2000000 100@2000000 150@2000001 "} {
		if !strings.Contains(histories[0].String(), want) {
			t.Errorf("no %q in\n%s", want, histories[0].String())
		}
	}
}

// TestWhatCannotBeDeliveredIsTold sends to nobody, and spawns of a module that nobody has.
func TestWhatCannotBeDeliveredIsTold(t *testing.T) {
	w := world(t, driver(t))
	var told []string
	w.Watch = func(s trial.Step) {
		for _, problem := range s.Undelivered {
			told = append(told, problem.Error())
		}
		if s.Failure != nil {
			told = append(told, s.Failure.Error())
		}
	}
	send := post(t, w)
	id := send(w.Spawn(w.AddModule(module(t, "")), trial.Message{From: "alice"}))
	send(w.Message(id, trial.Message{From: "alice", Tags: tag("Action", "Eval"), Data: `
		Send({ Target = "nobody" })
		Spawn(("A"):rep(43), {})`}))
	if all := strings.Join(told, "\n"); !strings.Contains(all, "message 1: the message has no target") || !strings.Contains(all, "is not in this trial") {
		t.Error(all)
	}
}

// TestProcessesThatDoNotComeToRestAreStopped has one write to itself.
func TestProcessesThatDoNotComeToRestAreStopped(t *testing.T) {
	w := world(t, driver(t))
	w.StepsMax = 100
	id := post(t, w)(w.Spawn(w.AddModule(module(t, `Handlers.add("x", "X", function() Send({ Target = ao.id, Action = "X" }) end)`)), trial.Message{From: "alice"}))
	item, err := w.Message(id, trial.Message{From: "alice", Tags: tag("Action", "X")})
	if err == nil {
		_, err = w.Post(t.Context(), item)
	}
	if err != nil {
		t.Fatal(err)
	}
	if steps, err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "come to rest") || len(steps) != w.StepsMax {
		t.Errorf("%d steps, %v", len(steps), err)
	}
}

// runTests runs test files on a project and gives what came of each.
func runTests(t *testing.T, d vm.Driver, files map[string]string) (outcomes map[string]trial.Outcome, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := project.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	outcomes = map[string]trial.Outcome{}
	tests := trial.Tests{
		Project: p, Driver: d, Report: func(o trial.Outcome) { outcomes[o.Name] = o },
		Module: func(ctx context.Context, path string) (*dataitem.Item, error) {
			text, err := os.ReadFile(filepath.Join(path, "process.lua"))
			if err != nil {
				return nil, err
			}
			return module(t, string(text)), nil
		},
	}
	_, _, err = tests.Run(t.Context())
	return outcomes, err
}

// TestTestsInLua has tests that pass, and one of each kind that fails.
func TestTestsInLua(t *testing.T) {
	outcomes, err := runTests(t, driver(t), map[string]string{
		"process.lua": life, "lib/sum.lua": "return function(a, b) return a + b end",
		"other/process.lua": `Handlers.add("who", "Who", function(m) m.reply({ Data = "other, of " .. m.From }) end)`,
		"life_test.lua": `
local sum = require("lib.sum")
test("the project's own files", function() equal(sum(1, 2), 3) end)
test("a message and what follows", function()
	local p = spawn({ Name = "parent", Owner = "alice" })
	equal(p.owner, address("alice"))
	local result = p:send({ From = "bob", Action = "Begin" })
	check(not result.Error, result.Error)
	equal(#result.Spawns, 1)
	local letters = mail("alice")
	equal(#letters, 1)
	equal(letters[1].From, p.id)
	local child = process(letters[1].Child)
	equal(child:results()[2].Messages[1].Action, "Hello-Back")
	contains(p:eval("Heard"), "from above")
	equal(p:dryrun({ Action = "Hello", Data = "try" }).Messages[1].Data, "try")
	equal(#p:results(), 5)
end)
test("one message at a time", function()
	local p = spawn()
	p:post({ Action = "Begin" })
	equal(#mail("owner"), 0)
	deliver()
	equal(#mail("owner"), 1)
	equal(undelivered(), {})
end)
test("time", function()
	local p = spawn({ TagArray = { { name = "Cron-Interval", value = "1-hour" }, { name = "Cron-Tag-Action", value = "Tick" } } })
	local before = now()
	advance(2 * 3600)
	equal(now() - before, 7200000)
	equal(p:eval("Ticks"), "3600@2000030 7200@2000060 ")
end)
test("a push of another", function()
	local q = spawn({ Module = "other" })
	local letter = q:send({ From = ("A"):rep(43), Action = "Who" }).Messages[1]
	equal(letter.Data, "other, of " .. ("A"):rep(43))
	equal(letter.Target, ("A"):rep(43))
end)
`,
		"test/wrong.lua": `
test("not equal", function() equal({ a = { 1 } }, { a = { 2 } }, "lists") end)
test("prints", function() print("hello", { x = 1 }) error("stop") end)
test("an eval that fails", function() spawn():eval("error('no')") end)
test("fails as it should", function() fails(function() spawn():eval("error('no')") end, "Eval:1: no") end)
test("nobody there", function() process(("B"):rep(42) .. "A"):send({}) end)
test("no end", function() while true do end end)
`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"the project's own files": "", "a message and what follows": "", "one message at a time": "", "time": "", "a push of another": "", "fails as it should": "",
		"not equal": "test/wrong.lua:2: lists: got {a = {1}}, want {a = {2}}", "prints": "test/wrong.lua:3: stop",
		"no end":             "it computes for too long",
		"an eval that fails": "test/wrong.lua:4: eval: Eval:1: no", "nobody there": "test/wrong.lua:6: process BBB",
	} {
		o, ok := outcomes[name]
		if !ok || (o.Failure == "") != (want == "") || !strings.HasPrefix(o.Failure, want) {
			t.Errorf("%s: %+v, want %q", name, o, want)
		}
	}
	if o := outcomes["prints"]; fmt.Sprint(o.Printed) != "[hello {x = 1}]" || o.Line != 3 || o.File != "test/wrong.lua" {
		t.Errorf("%+v", o)
	}
}

func TestTestsThatCannotRun(t *testing.T) {
	d := driver(t)
	for text, want := range map[string]string{
		"test('a', function() end) x = = 1":                   "a_test.lua:1: unexpected symbol near '='",
		"error('now')":                                        "a_test.lua:1: now",
		"test('a', function() end) test('a', function() end)": "two tests called a",
		"spawn()":     "only a test can do that",
		"local x = 1": "there are no tests",
	} {
		if _, err := runTests(t, d, map[string]string{"process.lua": "", "a_test.lua": text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := runTests(t, d, map[string]string{"process.lua": ""}); err == nil || !strings.Contains(err.Error(), "there are no tests") {
		t.Errorf("no files: %v", err)
	}
}
