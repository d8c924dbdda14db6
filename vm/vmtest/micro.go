package vmtest

import "encoding/binary"

// MicroModules are modules of a few instructions each, which together reach all of
// the wasm that engines may differ in: what integers and floats do at their edges,
// NaNs and what becomes of their bits, memory that grows and is copied, tables,
// every trap, ways through code, and recursion until there is no stack.
func MicroModules() []Module {
	var list []Module
	add := func(name string, build func(m *module)) {
		for _, wide := range []bool{false, true} {
			m := &module{wide: wide, pagesMin: 2, pagesMax: 8}
			build(m)
			title := name
			if wide {
				title += ", 64 bits"
			}
			list = append(list, Module{title, wide, m.bytes(), commandMessages(len(m.commands))})
		}
	}
	for _, kind := range numberKinds {
		add(kind.name, kind.build)
	}
	for name, o := range truncations {
		add(name, func(m *module) { o.build(m) })
	}
	add("divisions that trap", divisionTraps)
	add("memory", memoryCommands)
	add("accesses", accessCommands)
	add("tables", tableCommands)
	add("control", controlCommands)
	add("recursion", recursionCommands)
	return list
}

// Edges of each type, as bits.
var (
	edges32 = []uint64{0, 1, 2, 0xffff_ffff, 0xffff_fffe, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 31, 32, 33, 0x5555_5555, 0x1234_5678, 255, 256, 0xffff}
	edges64 = []uint64{
		0, 1, 2, 1<<64 - 1, 1<<64 - 2, 1<<63 - 1, 1 << 63, 1<<63 + 1, 63, 64, 65, 0x5555_5555_5555_5555, 0x1234_5678_9abc_def0, 1<<32 - 1, 1 << 32, 1 << 31,
	}
	edgesF32 = []uint64{
		0, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x3f00_0000, 0x3fc0_0000, 0x4020_0000, 0x7f7f_ffff, 0x0080_0000, 1, 0x8000_0001, 0x7f80_0000, 0xff80_0000,
		0x7fc0_0000, 0xffc0_0000, 0x7fc1_2345, 0x7f80_0001, 0xffa0_0000, 0x4f00_0000, 0x4eff_ffff, 0xcf00_0000, 0x4f80_0000, 0x5f00_0000, 0x5f80_0000, 0x3dcc_cccd,
	}
	edgesF64 = []uint64{
		0, 1 << 63, 0x3ff0 << 48, 0xbff0 << 48, 0x3fe0 << 48, 0x3ff8 << 48, 0x4004 << 48, 0x7fef_ffff_ffff_ffff, 0x0010 << 48, 1, 1<<63 | 1, 0x7ff0 << 48, 0xfff0 << 48,
		0x7ff8 << 48, 0xfff8 << 48, 0x7ff8_0000_1234_5678, 0x7ff0_0000_0000_0001, 0xfff4 << 48, 0x41e0 << 48, 0x41df_ffff_ffc0_0000, 0xc1e0 << 48, 0x41f0 << 48,
		0x43e0 << 48, 0x43f0 << 48, 0x3fb9_9999_9999_999a, 0x47ef_ffff_f000_0000, 0x3690 << 48,
	}
)

// numberKind is a type of numbers with what instructions there are for it: ranges
// of opcodes, each from its first to its last.
type numberKind struct {
	name        string
	edges       []uint64
	load        byte
	binary      map[byte][][2]byte // by type of the result
	unary       map[byte][][2]byte
	saturating  map[byte][]byte // numbers behind the prefix 0xfc, by type of the result
	divisions   [2]byte         // the opcodes that trap on some
	minus, zero []byte          // constants
	eq          byte
}

var numberKinds = []numberKind{
	{
		name: "i32", edges: edges32, load: 0x28,
		binary:    map[byte][][2]byte{typeI32: {{0x46, 0x4f}, {0x6a, 0x78}}},
		unary:     map[byte][][2]byte{typeI32: {{0x45, 0x45}, {0x67, 0x69}, {0xc0, 0xc1}}, typeI64: {{0xac, 0xad}}, typeF32: {{0xb2, 0xb3}, {0xbe, 0xbe}}, typeF64: {{0xb7, 0xb8}}},
		divisions: [2]byte{0x6d, 0x70}, minus: i32(-1), zero: i32(0), eq: 0x46,
	},
	{
		name: "i64", edges: edges64, load: 0x29,
		binary:    map[byte][][2]byte{typeI32: {{0x51, 0x5a}}, typeI64: {{0x7c, 0x8a}}},
		unary:     map[byte][][2]byte{typeI32: {{0x50, 0x50}, {0xa7, 0xa7}}, typeI64: {{0x79, 0x7b}, {0xc2, 0xc4}}, typeF32: {{0xb4, 0xb5}}, typeF64: {{0xb9, 0xba}, {0xbf, 0xbf}}},
		divisions: [2]byte{0x7f, 0x82}, minus: i64(-1), zero: i64(0), eq: 0x51,
	},
	{
		name: "f32", edges: edgesF32, load: 0x2a,
		binary:     map[byte][][2]byte{typeI32: {{0x5b, 0x60}}, typeF32: {{0x92, 0x98}}},
		unary:      map[byte][][2]byte{typeF32: {{0x8b, 0x91}}, typeF64: {{0xbb, 0xbb}}, typeI32: {{0xbc, 0xbc}}},
		saturating: map[byte][]byte{typeI32: {0, 1}, typeI64: {4, 5}},
	},
	{
		name: "f64", edges: edgesF64, load: 0x2b,
		binary:     map[byte][][2]byte{typeI32: {{0x61, 0x66}}, typeF64: {{0xa0, 0xa6}}},
		unary:      map[byte][][2]byte{typeF64: {{0x99, 0x9f}}, typeF32: {{0xb6, 0xb6}}, typeI64: {{0xbd, 0xbd}}},
		saturating: map[byte][]byte{typeI32: {2, 3}, typeI64: {6, 7}},
	},
}

// Where the edges lie in memory, and where results go.
const (
	microEdges   = moduleData
	microResults = moduleData + 1024
)

func littleEndian(values []uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func (m *module) data(at int64, content []byte) {
	m.datas = append(m.datas, join(op(0), m.pointer(at), op(0x0b), sized(content)))
}

var storeOf = map[byte]byte{typeI32: 0x36, typeI64: 0x37, typeF32: 0x38, typeF64: 0x39}

// access is a load or a store, by its opcode, at the address on the stack.
func access(opcode byte, offset int) []byte { return append([]byte{opcode, 0}, uleb(offset)...) }

// build gives each instruction a command that applies it to all edges, or to all
// pairs of them. The edges come from memory, so that no compiler knows them, and
// some once more as constants.
func (k numberKind) build(m *module) {
	m.data(microEdges, littleEndian(k.edges))
	each := func(ranges map[byte][][2]byte, run func(result, opcode byte)) {
		for _, result := range []byte{typeI32, typeI64, typeF32, typeF64} {
			for _, r := range ranges[result] {
				for opcode := r[0]; opcode <= r[1]; opcode++ {
					run(result, opcode)
				}
			}
		}
	}
	each(k.unary, func(result, opcode byte) { k.apply(m, 1, result, op(opcode), nil) })
	for _, result := range []byte{typeI32, typeI64} {
		for _, n := range k.saturating[result] {
			k.apply(m, 1, result, op(0xfc, n), nil)
		}
	}
	each(k.binary, func(result, opcode byte) {
		var guard func(a, b []byte) []byte
		if opcode >= k.divisions[0] && opcode <= k.divisions[1] {
			// No zero, and no -1, with which the smallest number overflows.
			guard = func(_, b []byte) []byte { return join(b, k.zero, op(k.eq), b, k.minus, op(k.eq, 0x72)) }
		}
		k.apply(m, 2, result, op(opcode), guard)
	})
}

// apply adds a command with two loops, of which the inner is run once for an
// instruction of one operand.
func (k numberKind) apply(m *module, operands int, result byte, instruction []byte, guard func(a, b []byte) []byte) {
	const i, j, out = 0, 1, 2
	size := int64(8 * len(k.edges))
	address := func(n int) []byte {
		if m.wide {
			return join(local(n), op(0xad))
		}
		return local(n)
	}
	a, b := join(address(i), access(k.load, microEdges)), join(address(j), access(k.load, microEdges))
	last, code := i64(0), join(address(out), a)
	if operands == 2 {
		last, code = nil, join(code, b)
	}
	code = join(code, instruction, access(storeOf[result], microResults))
	if guard != nil {
		code = join(guard(a, b), op(0x45, 0x04, 0x40), code, op(0x0b))
	}
	next := func(n int, by int64) []byte { return join(local(n), i32(by), op(0x6a), setLocal(n)) }
	inner := join(i32(0), setLocal(j), op(0x03, 0x40), code, next(out, 8), next(j, 8), local(j), i32(size), op(0x49, 0x0d, 0, 0x0b))
	if last != nil {
		inner = join(code, next(out, 8))
	}
	m.command([]byte{typeI32, typeI32, typeI32},
		op(0x03, 0x40), inner, next(i, 8), local(i), i32(size), op(0x49, 0x0d, 0, 0x0b), k.constants(operands, result, instruction, guard != nil, m))
}

// constants applies an instruction to constants: compilers fold those.
func (k numberKind) constants(operands int, result byte, instruction []byte, divides bool, m *module) []byte {
	constant := func(bits uint64) []byte {
		switch k.load {
		case 0x28:
			return i32(int64(int32(bits)))
		case 0x29:
			return i64(int64(bits))
		case 0x2a:
			return f32(uint32(bits))
		}
		return f64(bits)
	}
	var code []byte
	at := microResults + 8*len(k.edges)*len(k.edges)
	for n := range k.edges {
		first, second := k.edges[n], k.edges[(n*7+3)%len(k.edges)]
		if divides && (second == 0 || int64(second) == -1 || int32(second) == -1) {
			continue
		}
		code = join(code, m.pointer(0), constant(first))
		if operands == 2 {
			code = join(code, constant(second))
		}
		code = join(code, instruction, access(storeOf[result], at+8*n))
	}
	return code
}

// truncation turns floats into integers and traps where they do not fit.
type truncation struct {
	opcode, load, result byte
	edges                []uint64
}

var truncations = map[string]truncation{
	"i32.trunc_f32_s": {0xa8, 0x2a, typeI32, edgesF32}, "i32.trunc_f32_u": {0xa9, 0x2a, typeI32, edgesF32},
	"i32.trunc_f64_s": {0xaa, 0x2b, typeI32, edgesF64}, "i32.trunc_f64_u": {0xab, 0x2b, typeI32, edgesF64},
	"i64.trunc_f32_s": {0xae, 0x2a, typeI64, edgesF32}, "i64.trunc_f32_u": {0xaf, 0x2a, typeI64, edgesF32},
	"i64.trunc_f64_s": {0xb0, 0x2b, typeI64, edgesF64}, "i64.trunc_f64_u": {0xb1, 0x2b, typeI64, edgesF64},
}

func (t truncation) build(m *module) {
	m.data(microEdges, littleEndian(t.edges))
	for n := range t.edges {
		m.command(nil, m.pointer(microResults), m.pointer(int64(microEdges+8*n)), access(t.load, 0), op(t.opcode), access(storeOf[t.result], 8*n))
	}
}

// divisionTraps divides by zero and overflows, once what is known and once what is
// not.
func divisionTraps(m *module) {
	m.data(microEdges, littleEndian([]uint64{1 << 63, 1 << 31, 7, 0, 1<<64 - 1}))
	for _, d := range []struct {
		opcodes  [2]byte
		load     byte
		result   byte
		smallest int
		constant func(int64) []byte
	}{
		{[2]byte{0x6d, 0x70}, 0x28, typeI32, 8, func(n int64) []byte { return i32(int64(int32(n))) }},
		{[2]byte{0x7f, 0x82}, 0x29, typeI64, 0, i64},
	} {
		values := map[int]int64{0: -1 << 63, 8: -1 << 31, 16: 7, 24: 0, 32: -1}
		for opcode := d.opcodes[0]; opcode <= d.opcodes[1]; opcode++ {
			for _, pair := range [][2]int{{16, 24}, {d.smallest, 32}, {d.smallest, 24}} {
				from := func(at int) []byte { return join(m.pointer(int64(microEdges+at)), access(d.load, 0)) }
				m.command(nil, m.pointer(microResults), from(pair[0]), from(pair[1]), op(opcode), access(storeOf[d.result], 0))
				m.command(nil, m.pointer(microResults), d.constant(values[pair[0]]), d.constant(values[pair[1]]), op(opcode), access(storeOf[d.result], 0))
			}
		}
	}
}
