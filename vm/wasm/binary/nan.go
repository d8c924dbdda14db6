package binary

// The one NaN: negative and quiet, as x86 makes it and as the Lua of ao's
// modules has always printed it ("-nan").
const (
	nan32 = 0xffc00000
	nan64 = 0xfff8000000000000
)

// canonicalizeNaN makes every instruction that can produce a NaN produce the
// one NaN. The sign of 0/0 differs between x86 and arm64, and Lua prints it.
func (m *Module) canonicalizeNaN() {
	for i := range m.Codes {
		m.canonicalizeFunc(i)
	}
}

func (m *Module) canonicalizeFunc(index int) {
	var s *scratch
	body := m.Codes[index].body
	out := emitter{}
	start := 0
	for r := (&reader{b: body}); !r.done(); {
		op, _ := r.instruction()
		kind := nanKind(op)
		if kind == 0 {
			continue
		}
		if s == nil {
			s = m.scratch(index)
		}
		out.b = append(out.b, body[start:r.at]...)
		start = r.at
		value := s.local(kind, slotValue)
		out.index(opLocalTee, value)
		equal := byte(0x5b) // f32.eq
		if kind == F32 {
			out.f32(nan32)
		} else {
			out.f64(nan64)
			equal = 0x61
		}
		out.index(opLocalGet, value)
		out.index(opLocalGet, value)
		out.op(equal, opSelect)
	}
	if start > 0 {
		m.Codes[index].body = append(out.b, body[start:]...)
	}
}

// nanKind gives the type of an instruction's result when that may be a NaN
// whose bits the specification leaves open.
func nanKind(op uint32) byte {
	switch {
	case op >= 0x8d && op <= 0x97, op == 0xb6: // f32.ceil to f32.max, demote
		return F32
	case op >= 0x9b && op <= 0xa5, op == 0xbb: // f64.ceil to f64.max, promote
		return F64
	}
	return 0
}
