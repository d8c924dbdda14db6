package binary

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestStateThatIsNotKeptIsRefused has a module for each instruction and declaration
// whose effect is in no memory and no number.
func TestStateThatIsNotKeptIsRefused(t *testing.T) {
	null := ops(0xd0, funcRef)
	withTable := func(m *Module) {
		m.Tables = []table{{funcRef, Limits{Min: 1}}}
		m.elements = []element{{flags: 1, funcs: []uint32{0}}}
		m.datas = []data{{flags: 1, bytes: []byte("data")}}
		m.dataCount = 1
	}
	for want, wasm := range map[string][]byte{
		"table.set":  assemble([]fn{{body: join(i32c(0), null, ops(0x26, 0))}}, withTable),
		"table.grow": assemble([]fn{{body: join(null, i32c(1), ops(prefixMisc, 15, 0, 0x1a))}}, withTable),
		"table.fill": assemble([]fn{{body: join(i32c(0), null, i32c(1), ops(prefixMisc, 17, 0))}}, withTable),
		"table.copy": assemble([]fn{{body: join(i32c(0), i32c(0), i32c(1), ops(prefixMisc, 14, 0, 0))}}, withTable),
		"table.init": assemble([]fn{{body: join(i32c(0), i32c(0), i32c(1), ops(prefixMisc, 12, 0, 0))}}, withTable),
		"elem.drop":  assemble([]fn{{body: ops(prefixMisc, 13, 0)}}, withTable),
		"data.drop":  assemble([]fn{{body: ops(prefixMisc, 9, 0)}}, withTable),
		"a mutable global that is no number": assemble([]fn{{}}, func(m *Module) {
			m.Globals = []global{{valueType: funcRef, mutable: 1, init: join(null, ops(opEnd))}}
		}),
		"more than 100 tables": assemble([]fn{{}}, func(m *Module) { m.Tables = slices.Repeat([]table{{funcRef, Limits{}}}, 101) }),
		"tables of more than": assemble([]fn{{}}, func(m *Module) {
			m.Tables = []table{{funcRef, Limits{Min: tableEntriesMax}}, {funcRef, Limits{Min: 1}}}
		}),
	} {
		_, err := Prepare(wasm, PrepareOptions{})
		if unsupported, ok := errors.AsType[*UnsupportedError](err); !ok || !strings.Contains(unsupported.Feature, want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	kept := assemble([]fn{{body: join(i32c(0), ops(0x25, 0, 0x1a), i32c(0), i32c(0), i32c(2), ops(prefixMisc, 8, 0, 0))}}, withTable)
	if _, err := Prepare(kept, PrepareOptions{}); err != nil {
		t.Errorf("what changes nothing but memory: %v", err)
	}
}

// TestTheStartIsTheHostsToCall has a start that writes to memory and calls a
// function, for which it pays.
func TestTheStartIsTheHostsToCall(t *testing.T) {
	p := mustPrepare(t, assemble([]fn{
		{body: join(i32c(8), i32c(7), ops(0x36, 2, 0), ops(opLoop, blockVoid, opEnd))},
		{results: []byte{I32}, body: join(i32c(8), ops(0x28, 2, 0)), export: "look"},
		{results: []byte{V128}, body: join(ops(prefixSIMD, 12), make([]byte, 16)), export: "vector"},
	}, func(m *Module) { m.start = 0 }), PrepareOptions{Metering: MeteringBudget})
	if _, ok := p.Info.Exports["vector"]; ok {
		t.Error("a function that no host calls is exported")
	}
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		if got := in.call("look"); got != 0 {
			t.Errorf("it ran by itself: %d", got)
		}
		in.setGas(1000)
		in.call(StartExport)
		if got := in.call("look"); got != 7 || in.gas() >= 1000 {
			t.Errorf("called, it wrote %d, and %d gas is left of 1000", got, in.gas())
		}
	})
}
