package binary

import (
	"testing"

	"github.com/tetratelabs/wazero/api"
)

func TestMemoryGrowsToWhatTheHostSets(t *testing.T) {
	grow := fn{params: []byte{I32}, results: []byte{I32}, export: "grow", body: ops(opLocalGet, 0, opMemoryGrow, 0)}
	grow64 := fn{params: []byte{I64}, results: []byte{I64}, export: "grow", body: ops(opLocalGet, 0, opMemoryGrow, 0)}
	for name, wasm := range map[string][]byte{
		"32 bits": assemble([]fn{grow}, nil),
		"64 bits": assemble([]fn{grow64}, func(m *Module) { m.Memories[0].Flags |= limits64 }),
	} {
		t.Run(name, func(t *testing.T) {
			p := mustPrepare(t, wasm, PrepareOptions{Lower64: true})
			if len(p.Info.Globals) != 0 {
				t.Errorf("%v counts as state", p.Info.Globals)
			}
			onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
				in.mod.ExportedGlobal(PagesExport).(api.MutableGlobal).Set(4)
				for _, step := range []struct{ by, want uint32 }{
					{0, 1}, {4, ^uint32(0)}, {^uint32(0), ^uint32(0)}, {2, 1}, {2, ^uint32(0)}, {1, 3}, {1, ^uint32(0)}, {0, 4},
				} {
					if got := uint32(in.call("grow", uint64(step.by))); got != step.want {
						t.Errorf("growing by %d gave %d, want %d", step.by, got, step.want)
					}
				}
			})
		})
	}
}
