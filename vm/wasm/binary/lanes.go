package binary

const (
	opI64ReinterpretF64 = 0xbd
	opI64x2ReplaceLane  = 30
	opF64x2ReplaceLane  = prefixSIMD<<16 | 34
)

// replaceLanes puts a float into a vector as an integer of the same bits. wasmer 2.0
// clears the other lane when the float comes straight from memory.
func (m *Module) replaceLanes() {
	for i := range m.Codes {
		body := m.Codes[i].body
		out, start := emitter{}, 0
		for r := (&reader{b: body}); !r.done(); {
			at := r.at
			if op, _ := r.instruction(); op != opF64x2ReplaceLane {
				continue
			}
			out.b = append(out.b, body[start:at]...)
			out.op(opI64ReinterpretF64, prefixSIMD, opI64x2ReplaceLane, body[r.at-1])
			start = r.at
		}
		if start > 0 {
			m.Codes[i].body = append(out.b, body[start:]...)
		}
	}
}
