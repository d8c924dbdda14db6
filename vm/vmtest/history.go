package vmtest

import (
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
)

// Histories runs the same messages on a real module along different ways that
// must come to the same state: straight through; with each third message undone
// and done again; and moved to a new process, by a snapshot or a fork, now and
// then.
func Histories(t *testing.T, driver vm.Driver, module, format string, messages [][]byte) {
	path := ModulePath(t, module)
	handle := func(t *testing.T, p vm.Process, message []byte) string {
		t.Helper()
		output, err := p.Handle(t.Context(), vm.Call{Message: message, Env: Env(), GasLimit: GasLimit})
		if err != nil {
			t.Fatal(err)
		}
		return string(output.Response)
	}
	straight := Start(t, driver, path, format)
	var answers []string
	for _, message := range messages {
		answers = append(answers, handle(t, straight, message))
	}
	want := TakeSnapshot(t, straight)
	check := func(t *testing.T, p vm.Process) {
		t.Helper()
		if !TakeSnapshot(t, p).Equal(want) {
			t.Fatal("another state came of the same messages")
		}
	}

	t.Run("undone", func(t *testing.T) {
		p := Start(t, driver, path, format)
		for i, message := range messages {
			got := handle(t, p, message)
			if i%3 == 0 {
				if err := p.Rollback(t.Context()); err != nil {
					t.Fatal(err)
				}
				got = handle(t, p, message)
			}
			if got != answers[i] {
				t.Fatalf("message %d gave %s, straight through %s", i, got, answers[i])
			}
		}
		check(t, p)
	})
	t.Run("moved", func(t *testing.T) {
		p := Start(t, driver, path, format)
		for i, message := range messages {
			if got := handle(t, p, message); got != answers[i] {
				t.Fatalf("message %d gave %s, straight through %s", i, got, answers[i])
			}
			switch i % 12 {
			case 5:
				p = move(t, driver, path, format, p)
			case 11:
				p = fork(t, p)
			}
		}
		check(t, p)
	})
}

func move(t *testing.T, driver vm.Driver, path, format string, from vm.Process) vm.Process {
	t.Helper()
	source, err := readSource(path, format)
	if err != nil {
		t.Fatal(err)
	}
	module, err := driver.Load(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	p, err := module.New(t.Context(), vm.Config{}, TakeSnapshot(t, from).Reader())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func fork(t *testing.T, from vm.Process) vm.Process {
	t.Helper()
	p, err := from.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}
