//go:build linux

package plugin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// TestHostileModulesHarmNobody has every engine load, start and run modules that no
// compiler would make. Each comes to the same end on all, its engine takes no more
// memory for its process than that may and a tenth, and a neighbour on the same
// worker goes on.
func TestHostileModulesHarmNobody(t *testing.T) {
	modules := vmtest.HostileModules()
	ends := map[string][]string{}
	for name, path := range hostileEngines(t) {
		h := openHostile(t, path)
		for _, m := range modules {
			ends[name] = append(ends[name], h.endOf(m))
			if got, err := tell(t, h.neighbour, "count"); err != nil || len(got) != 3 {
				t.Fatalf("the neighbour of %s on %s: %s, %v", m.Name, name, got, err)
			}
		}
	}
	counts := map[string]int{}
	for i, m := range modules {
		end := ends["wazero"][i]
		for name := range ends {
			if got := ends[name][i]; got != end {
				t.Errorf("%s\non wazero %.500s\non %s %.500s", m.Name, end, name, got)
			}
		}
		kind, _, _ := strings.Cut(end, ":")
		counts[kind]++
	}
	t.Logf("how they ended: %v", counts)
	if counts["refused"] == 0 || counts["did not start"] == 0 || counts["ran"] == 0 {
		t.Error("they do not end in all the ways there are")
	}
}

// endOf says what a module came to.
func (h *hostile) endOf(m vmtest.Module) string {
	h.Helper()
	module, err := h.driver.Load(h.Context(), vm.Source{Format: wasm.FormatMetered32, Bytes: m.Wasm})
	if refusal, ok := errors.AsType[*vm.UnsupportedError](err); ok {
		return "refused: " + refusal.Feature
	}
	if err != nil {
		h.Fatalf("%s: %v", m.Name, err)
	}
	before := h.memory("VmRSS")
	h.forget()
	defer h.took(m.Name, before)
	config := vm.Config{MemoryLimitBytes: hostileMemoryBytes, OutputLimitBytes: 1 << 20, TimeoutMS: 60_000}
	p, err := module.New(h.Context(), config, nil)
	if _, trapped := errors.AsType[*vm.TrapError](err); trapped || errors.Is(err, vm.ErrOutOfGas) {
		return "did not start: " + err.Error()
	}
	if err != nil {
		h.Fatalf("%s: %v", m.Name, err)
	}
	end := "ran:"
	for _, message := range m.Messages {
		output, err := p.Handle(h.Context(), vm.Call{Message: message, Env: vmtest.Env(), GasLimit: 100_000_000})
		end += fmt.Sprintf(" gas %d %s", output.GasUsed, output.Response)
		if err != nil {
			end += h.failure(m.Name, err)
			if err := p.Rollback(h.Context()); err != nil {
				h.Errorf("%s: go back: %v", m.Name, err)
			}
		}
	}
	end += fmt.Sprintf(" state %x", vmtest.TakeSnapshot(h.T, p).Root())
	if err := p.Close(); err != nil {
		h.Error(err)
	}
	return end
}
