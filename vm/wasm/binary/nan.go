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
		if kind == notFloat {
			continue
		}
		if s == nil {
			s = m.scratch(index)
		}
		out.b = append(out.b, body[start:r.at]...)
		start = r.at
		out.canonical(kind, s.local(byte(kind), slotValue))
	}
	if start > 0 {
		m.Codes[index].body = append(out.b, body[start:]...)
	}
}

// float is the type that an instruction's result is canonicalised as.
type float int

const (
	notFloat = 0
	scalar32 = float(F32)
	scalar64 = float(F64)
	// Vectors are told from scalars, and their lanes from one another, above the
	// byte that is their value type.
	vector32 = float(V128) | 0x100
	vector64 = float(V128) | 0x200
)

// Opcodes that compare for being a NaN, which alone is not equal to itself.
const (
	opF32Ne     = 0x5c
	opF64Ne     = 0x62
	opF32x4Eq   = 0x41
	opF64x2Eq   = 0x47
	opBitselect = 0x52
)

// canonical replaces a NaN on the stack by the one NaN, and those among the
// lanes of a vector. For a scalar it branches, since NaNs are so rare that
// every branch is foreseen.
func (e *emitter) canonical(kind float, value uint32) {
	e.index(opLocalTee, value)
	if kind == vector32 || kind == vector64 {
		e.canonicalLanes(kind, value)
		return
	}
	e.index(opLocalGet, value)
	if kind == scalar32 {
		e.op(opF32Ne, opIf, blockVoid)
		e.f32(nan32)
	} else {
		e.op(opF64Ne, opIf, blockVoid)
		e.f64(nan64)
	}
	e.index(opLocalSet, value)
	e.op(opEnd)
	e.index(opLocalGet, value)
}

func (e *emitter) canonicalLanes(kind float, value uint32) {
	equal := byte(opF64x2Eq)
	if kind == vector32 {
		equal = opF32x4Eq
		e.v128(nan32<<32|nan32, nan32<<32|nan32)
	} else {
		e.v128(nan64, nan64)
	}
	e.index(opLocalGet, value)
	e.index(opLocalGet, value)
	e.op(prefixSIMD, equal, prefixSIMD, opBitselect)
}

// nanKind gives the type of an instruction's result when that may be a NaN
// whose bits the specification leaves open.
func nanKind(op uint32) float {
	switch {
	case op >= 0x8d && op <= 0x97, op == 0xb6: // f32.ceil to f32.max, demote
		return scalar32
	case op >= 0x9b && op <= 0xa5, op == 0xbb: // f64.ceil to f64.max, promote
		return scalar64
	case op>>16 != prefixSIMD:
		return notFloat
	}
	switch n := op & 0xffff; {
	case n >= 0x67 && n <= 0x6a, n >= 0xe3 && n <= 0xe9, n == 0x5e: // f32x4.ceil to nearest, sqrt to max, demote
		return vector32
	case n == 0x74, n == 0x75, n == 0x7a, n == 0x94, n >= 0xef && n <= 0xf5, n == 0x5f: // the same of f64x2, promote
		return vector64
	}
	return notFloat
}
