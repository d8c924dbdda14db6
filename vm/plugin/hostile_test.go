//go:build linux

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

const (
	hostileMemoryBytes = 128 << 20
	hostileGas         = 10_000_000_000
)

// hostileEngines are plugins of all engines, so that the memory of each is that of
// a process of its own.
func hostileEngines(t *testing.T) map[string]string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	engines := map[string]string{"wazero": self}
	for _, name := range []string{"wasmer", "wasmtime"} {
		path := filepath.Join("..", "..", "bin", "wallaby-vm-"+name)
		if _, err := os.Stat(path); err != nil {
			t.Logf("SKIPPED: %s is not there (make plugins builds it): hostile programs do not run on it", path)
			continue
		}
		engines[name] = path
	}
	return engines
}

// TestHostileProgramsHarmNobody gives each program, and each command of our own
// guest, a process of its own. It ends alike on every engine, its engine takes no
// more memory than the process may and a tenth, and a neighbour on the same worker
// goes on meanwhile.
func TestHostileProgramsHarmNobody(t *testing.T) {
	source := vm.Source{Format: wasm.FormatWasm64}
	var err error
	if source.Bytes, err = os.ReadFile(vmtest.ModulePath(t, "aos2_0_6.wasm")); err != nil {
		t.Fatal(err)
	}
	ends := map[string]map[string]string{}
	for name, path := range hostileEngines(t) {
		ends[name] = map[string]string{}
		h := openHostile(t, path)
		for i, program := range vmtest.HostileLua() {
			p := h.start(source)
			if _, err := p.Handle(t.Context(), vm.Call{Message: vmtest.Boot(), Env: vmtest.Env(), GasLimit: vmtest.GasLimit}); err != nil {
				t.Fatal(err)
			}
			ends[name][program] = h.run(p, program, vmtest.Eval(i+1, program), vmtest.Eval(900, "return 6 * 7"), "42")
		}
		for _, message := range vmtest.GuestCommands() {
			p := h.start(vm.Source{Format: wasm.FormatEmscripten4, Bytes: vmtest.Guest()})
			ends[name][string(message)] = h.run(p, string(message), message, []byte(`"count"`), `"2"`)
		}
		t.Logf("%s: %d programs and commands; %d answers of the neighbour; at most %d MB more than before", name, len(ends[name]), h.answers, h.peak>>20)
	}
	counts := map[string]int{}
	for program, end := range ends["wazero"] {
		for name := range ends {
			if got := ends[name][program]; got != end {
				t.Errorf("%s\non wazero %.500s\non %s %.500s", program, end, name, got)
			}
		}
		kind, _, _ := strings.Cut(end, ":")
		counts[kind]++
	}
	t.Logf("how they ended: %v", counts)
}

// hostile is one engine's worker with a neighbour on it.
type hostile struct {
	*testing.T
	driver    *plugin.Driver
	pid       int
	neighbour vm.Process
	answers   int
	peak      uint64 // bytes
}

func openHostile(t *testing.T, path string) *hostile {
	t.Helper()
	driver := plugin.New(plugin.Options{Path: path, CacheDir: filepath.Join(os.TempDir(), "wallaby-test-cache-hostile"), Warn: func(text string) { t.Log(text) }})
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &hostile{T: t, driver: driver}
	before := children(t)
	h.neighbour = start(t, driver, vm.Config{})
	for pid := range children(t) {
		if !before[pid] {
			h.pid = pid
		}
	}
	if h.pid == 0 {
		t.Fatal("the worker is not to be seen")
	}
	return h
}

func (h *hostile) start(source vm.Source) vm.Process {
	h.Helper()
	module, err := h.driver.Load(h.Context(), source)
	if err != nil {
		h.Fatal(err)
	}
	p, err := module.New(h.Context(), vm.Config{MemoryLimitBytes: hostileMemoryBytes, OutputLimitBytes: 1 << 20, TimeoutMS: 60_000}, nil)
	if err != nil {
		h.Fatal(err)
	}
	return p
}

// run gives a process its hostile message and says how that ended. If it failed,
// another message must give what is wanted.
func (h *hostile) run(p vm.Process, what string, message, next []byte, want string) (end string) {
	h.Helper()
	before := h.memory("VmRSS")
	h.forget()
	ctx, cancel := context.WithCancel(h.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		for ctx.Err() == nil {
			if got, err := tell(h.T, h.neighbour, "count"); err != nil || len(got) != 3 {
				h.Errorf("the neighbour of %s: %s, %v", what, got, err)
				return
			}
			h.answers++
		}
	})
	output, err := p.Handle(h.Context(), vm.Call{Message: message, Env: vmtest.Env(), GasLimit: hostileGas})
	cancel()
	wait.Wait()
	h.took(what, before)
	end = "answered: " + string(output.Response)
	if err != nil {
		end = h.failure(what, err)
		if err := p.Rollback(h.Context()); err != nil {
			h.Errorf("%s: go back before it: %v", what, err)
		}
		after, err := p.Handle(h.Context(), vm.Call{Message: next, Env: vmtest.Env(), GasLimit: hostileGas})
		if err != nil || !bytes.Contains(after.Response, []byte(want)) {
			h.Errorf("%s: the process after it: %.300s, %v", what, after.Response, err)
		}
	}
	if err := p.Close(); err != nil {
		h.Error(err)
	}
	return end
}

// forget has the system measure the worker's peak of memory anew.
func (h *hostile) forget() {
	h.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", h.pid), []byte("5"), 0); err != nil {
		h.Fatal(err)
	}
}

// took looks at the peak since.
func (h *hostile) took(what string, before uint64) {
	h.Helper()
	most := h.memory("VmHWM")
	grown := most - min(before, most)
	if grown > hostileMemoryBytes*11/10 {
		h.Errorf("%s: its engine took %d MB for a process of %d", what, grown>>20, hostileMemoryBytes>>20)
	}
	h.peak = max(h.peak, grown)
}

// failure names the ways in which a guest may end; all others are faults of ours.
func (h *hostile) failure(what string, err error) string {
	for name, kind := range map[string]error{"out of gas": vm.ErrOutOfGas, "memory limit": vm.ErrMemoryLimit, "output limit": vm.ErrOutputLimit} {
		if errors.Is(err, kind) {
			return name + ": " + err.Error()
		}
	}
	if _, ok := errors.AsType[*vm.TrapError](err); ok {
		return "trap: " + err.Error()
	}
	if refusal, ok := errors.AsType[*vm.GuestError](err); ok {
		return "refused: " + err.Error() + string(refusal.Response)
	}
	h.Errorf("%s: %v", what, err)
	return "fault: " + err.Error()
}

// memory reads a figure in kB of the worker's status.
func (h *hostile) memory(field string) uint64 {
	h.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.pid))
	if err != nil {
		h.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kilobytes, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				h.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	h.Fatalf("no %s in %s", field, status)
	return 0
}

// children lists the processes that this one has started.
func children(t *testing.T) map[int]bool {
	t.Helper()
	found := map[int]bool{}
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(tasks) == 0 {
		t.Skipf("SKIPPED: the system does not list the children of a process (%v): memory cannot be measured", err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for _, pid := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(pid); err == nil {
				found[n] = true
			}
		}
	}
	return found
}
