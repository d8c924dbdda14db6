package vmtest

import (
	"fmt"
	"math/rand/v2"
)

// RandomModule makes a module out of nothing but a seed: functions with loops,
// branches, calls of each other by name and through a table, numbers of all four
// types, and memory, most of it in bounds. It always loads. The same seed makes the
// same module for ever only as long as this code stays as it is.
func RandomModule(seed uint64) Module {
	r := &random{Rand: rand.New(rand.NewPCG(seed, 0x77616c6c616279))}
	r.m = module{wide: r.chance(2), pagesMin: 1 + r.IntN(2), pagesMax: 2 + r.IntN(4)}
	r.m.imports = [][]byte{
		imported("env", "emscripten_date_now", r.m.signature(nil, []byte{typeF64})),
		imported("env", "emscripten_resize_heap", r.m.signature([]byte{r.m.address()}, []byte{typeI32})),
	}
	r.data()
	for _, t := range numberTypes {
		for range 1 + r.IntN(2) {
			r.m.globals = append(r.m.globals, join(op(t, 1), r.constant(t), op(0x0b)))
			r.globals = append(r.globals, t)
		}
	}
	for range 2 + r.IntN(5) {
		f := randomFunc{params: r.types(r.IntN(4)), results: r.types(r.IntN(2)), locals: r.types(r.IntN(6))}
		f.signature = r.m.signature(f.params, f.results)
		r.funcs = append(r.funcs, f)
	}
	commands := 2 + r.IntN(4)
	for range commands {
		r.funcs = append(r.funcs, randomFunc{locals: r.types(2 + r.IntN(6)), signature: signatureCommand})
	}
	for n, f := range r.funcs {
		r.m.funcs = append(r.m.funcs, moduleFunc{f.signature, append(f.locals, r.counters()...), r.body(n)})
		if n >= len(r.funcs)-commands {
			r.m.commands = append(r.m.commands, moduleFuncs+n)
		}
	}
	r.table()
	return Module{fmt.Sprintf("random %d", seed), r.m.wide, r.m.bytes(), commandMessages(commands)}
}

var numberTypes = []byte{typeI32, typeI64, typeF32, typeF64}

// random is a module in the making.
type random struct {
	*rand.Rand
	m       module
	globals []byte // the types of those after the stack pointer
	funcs   []randomFunc

	// Of the function in hand.
	all   []byte // its parameters and locals, without counters
	open  []bool // the blocks around, all without results; true is a loop
	loops int    // the loops begun so far
	f     *randomFunc
	n     int // its number
}

type randomFunc struct {
	signature               int
	params, results, locals []byte
}

const (
	randomImports  = 2
	randomLoopsMax = 6 // in a function; each has a counter
	randomTurnsMax = 6 // of a loop
	randomDepthMax = 4 // of expressions and of blocks
	randomMemory   = 1 << 14
)

func (r *random) chance(oneIn int) bool { return r.IntN(oneIn) == 0 }

func (r *random) types(n int) []byte {
	list := make([]byte, n)
	for i := range list {
		list[i] = numberTypes[r.IntN(4)]
	}
	return list
}

func (r *random) counters() []byte {
	list := make([]byte, randomLoopsMax)
	for i := range list {
		list[i] = typeI32
	}
	return list
}

func (r *random) data() {
	var values []uint64
	for range 8 {
		values = append(values, r.Uint64())
	}
	values = append(values, edgesF64...)
	values = append(values, edges32...)
	r.m.data(moduleData, littleEndian(values))
}

// table makes table 1, which holds some of the functions, with gaps.
func (r *random) table() {
	r.m.tables = [][]byte{op(typeFuncRef, 0, 16)}
	for at := range 12 {
		if !r.chance(4) {
			f := randomImports + moduleFuncs + r.IntN(len(r.funcs))
			r.m.elements = append(r.m.elements, join(op(2, 1), i32(int64(at)), op(0x0b, 0), vector(uleb(f))))
		}
	}
}

// body makes a function's code: statements, and its results in the end.
func (r *random) body(n int) []byte {
	r.f, r.n = &r.funcs[n], n
	r.all, r.open, r.loops = append(append([]byte{}, r.f.params...), r.f.locals...), nil, 0
	return join(r.statements(2+r.IntN(6), 0), r.results())
}

func (r *random) results() []byte {
	var code []byte
	for _, t := range r.f.results {
		code = join(code, r.expression(t, 0))
	}
	return code
}

func (r *random) statements(n, depth int) []byte {
	var code []byte
	for range n {
		code = join(code, r.statement(depth))
	}
	return code
}

func (r *random) statement(depth int) []byte {
	inside := func() []byte {
		r.open = append(r.open, false)
		defer func() { r.open = r.open[:len(r.open)-1] }()
		return r.statements(1+r.IntN(3), depth+1)
	}
	if depth < randomDepthMax {
		switch r.IntN(9) {
		case 0:
			return join(op(0x02, 0x40), inside(), op(0x0b))
		case 1:
			return join(r.expression(typeI32, 1), op(0x04, 0x40), inside(), op(0x05), inside(), op(0x0b))
		case 2:
			if r.loops < randomLoopsMax {
				return r.loop(inside)
			}
		}
	}
	switch r.IntN(12) {
	case 0, 1, 2:
		if len(r.all) > 0 {
			n := r.IntN(len(r.all))
			return join(r.expression(r.all[n], 0), setLocal(n))
		}
	case 3:
		n := r.IntN(len(r.globals))
		return join(r.expression(r.globals[n], 0), setGlobal(1+n))
	case 4, 5, 6:
		return r.store()
	case 7:
		return r.bulk()
	case 8:
		if len(r.open) > 0 {
			return join(r.expression(typeI32, 1), op(0x0d), uleb(r.label()))
		}
	case 9:
		if len(r.open) > 0 {
			return join(op(0x02, 0x40), r.expression(typeI32, 1), op(0x0e, 2, 0), uleb(1+r.label()), uleb(1+r.label()), op(0x0b))
		}
	case 10:
		if r.chance(6) {
			return join(r.expression(typeI32, 1), op(0x04, 0x40), r.results(), op(0x0f, 0x0b))
		}
		if r.chance(20) {
			return join(r.expression(typeI32, 1), op(0x04, 0x40, 0x00, 0x0b))
		}
	}
	t := numberTypes[r.IntN(4)]
	return join(r.expression(t, 0), op(0x1a))
}

// loop goes round some times, or now and then until the gas is used up.
func (r *random) loop(inside func() []byte) []byte {
	counter := len(r.all) + r.loops
	r.loops++
	turns := int64(1 + r.IntN(randomTurnsMax))
	if r.chance(60) {
		turns = 0 // for a very long time
	}
	r.open = append(r.open, true)
	body := inside()
	r.open = r.open[:len(r.open)-1]
	return join(i32(turns), setLocal(counter), op(0x03, 0x40, 0x02, 0x40), body, op(0x0b),
		local(counter), i32(1), op(0x6b, 0x22), uleb(counter), op(0x0d, 0, 0x0b))
}

// label is a block to leave, and now and then the head of a loop, which goes round
// without counting.
func (r *random) label() int {
	label := r.IntN(len(r.open))
	if r.open[len(r.open)-1-label] && !r.chance(30) {
		label-- // there is a block in each loop
	}
	return label
}

// pointer is an address, now and then out of bounds.
func (r *random) pointer(depth int) []byte {
	if r.chance(80) {
		return r.expression(r.m.address(), depth)
	}
	at := join(r.expression(r.m.address(), depth), r.m.pointer(randomMemory-1))
	if r.m.wide {
		return join(at, op(0x83))
	}
	return join(at, op(0x71))
}

func (r *random) offset() int {
	switch {
	case r.chance(100):
		return 1 << 31
	case r.chance(4):
		return moduleData + r.IntN(4096)
	}
	return r.IntN(64)
}

func (r *random) store() []byte {
	stores := map[byte][]byte{typeI32: {0x36, 0x3a, 0x3b}, typeI64: {0x37, 0x3c, 0x3d, 0x3e}, typeF32: {0x38}, typeF64: {0x39}}
	t := numberTypes[r.IntN(4)]
	opcode := stores[t][r.IntN(len(stores[t]))]
	return join(r.pointer(1), r.expression(t, 1), access(opcode, r.offset()))
}

// bulk fills, copies, or grows.
func (r *random) bulk() []byte {
	length := join(r.pointer(2), r.m.pointer(255), op(map[bool]byte{false: 0x71, true: 0x83}[r.m.wide]))
	switch r.IntN(4) {
	case 0:
		return join(r.pointer(1), r.expression(typeI32, 1), length, op(0xfc, 11, 0))
	case 1:
		return join(r.pointer(1), r.pointer(1), length, op(0xfc, 10, 0, 0))
	case 2:
		return join(r.m.pointer(int64(r.IntN(3))), op(0x40, 0, 0x1a))
	}
	return join(r.m.pointer(int64(r.IntN(5*65536))), call(1), op(0x1a))
}
