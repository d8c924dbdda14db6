package vmtest

import (
	"bytes"
	"slices"
)

// randomOperation is an instruction that takes values and gives one.
type randomOperation struct {
	code     []byte
	operands []byte
	traps    bool // on many operands
}

// randomOperations are those that give a type.
var randomOperations = allOperations()

func allOperations() map[byte][]randomOperation {
	list := map[byte][]randomOperation{}
	for n, kind := range numberKinds {
		own := numberTypes[n]
		for result, ranges := range kind.unary {
			for _, r := range ranges {
				for opcode := r[0]; opcode <= r[1]; opcode++ {
					list[result] = append(list[result], randomOperation{op(opcode), []byte{own}, false})
				}
			}
		}
		for result, ranges := range kind.binary {
			for _, r := range ranges {
				for opcode := r[0]; opcode <= r[1]; opcode++ {
					list[result] = append(list[result], randomOperation{op(opcode), []byte{own, own}, false})
				}
			}
		}
		for result, numbers := range kind.saturating {
			for _, number := range numbers {
				list[result] = append(list[result], randomOperation{op(0xfc, number), []byte{own}, false})
			}
		}
	}
	for _, t := range truncations {
		own := map[byte]byte{0x2a: typeF32, 0x2b: typeF64}[t.load]
		list[t.result] = append(list[t.result], randomOperation{op(t.opcode), []byte{own}, true})
	}
	for result := range list {
		// Maps have no order, and a seed has to make one module.
		slices.SortFunc(list[result], func(a, b randomOperation) int { return bytes.Compare(a.code, b.code) })
	}
	return list
}

// expression makes code that leaves a value.
func (r *random) expression(t byte, depth int) []byte {
	if depth >= randomDepthMax || r.chance(5) {
		return r.leaf(t)
	}
	switch r.IntN(12) {
	case 0:
		return r.load(t, depth)
	case 1:
		return join(r.expression(t, depth+1), r.expression(t, depth+1), r.expression(typeI32, depth+1), op(0x1b))
	case 2:
		return join(r.expression(typeI32, depth+1), op(0x04, t), r.expression(t, depth+1), op(0x05), r.expression(t, depth+1), op(0x0b))
	case 3:
		if code := r.callOf(t, depth); code != nil {
			return code
		}
	}
	o := randomOperations[t][r.IntN(len(randomOperations[t]))]
	if o.traps && !r.chance(20) {
		return r.leaf(t)
	}
	var code []byte
	for _, operand := range o.operands {
		code = join(code, r.expression(operand, depth+1))
	}
	// Most divisions divide by something.
	if len(o.code) == 1 && !r.chance(30) {
		switch {
		case o.code[0] >= 0x6d && o.code[0] <= 0x70:
			code = join(code, i32(7), op(0x72))
		case o.code[0] >= 0x7f && o.code[0] <= 0x82:
			code = join(code, i64(7), op(0x84))
		}
	}
	return join(code, o.code)
}

func (r *random) leaf(t byte) []byte {
	var locals, globals []int
	for n, kind := range r.all {
		if kind == t {
			locals = append(locals, n)
		}
	}
	for n, kind := range r.globals {
		if kind == t {
			globals = append(globals, 1+n)
		}
	}
	switch choice := r.IntN(10); {
	case choice < 5 && len(locals) > 0:
		return local(locals[r.IntN(len(locals))])
	case choice < 7 && len(globals) > 0:
		return global(globals[r.IntN(len(globals))])
	case choice == 7 && t == r.m.address():
		return op(0x3f, 0) // the memory's size
	case choice == 8 && t == typeF64 && r.chance(5):
		return call(0) // the clock
	}
	return r.constant(t)
}

func (r *random) constant(t byte) []byte {
	switch t {
	case typeI32:
		if r.chance(3) {
			return i32(int64(r.IntN(100)))
		}
		return i32(int64(int32(edges32[r.IntN(len(edges32))])))
	case typeI64:
		if r.chance(3) {
			return i64(int64(r.IntN(100)))
		}
		return i64(int64(edges64[r.IntN(len(edges64))]))
	case typeF32:
		return f32(uint32(edgesF32[r.IntN(len(edgesF32))]))
	}
	return f64(edgesF64[r.IntN(len(edgesF64))])
}

func (r *random) load(t byte, depth int) []byte {
	loads := map[byte][]byte{typeI32: {0x28, 0x2c, 0x2d, 0x2e, 0x2f}, typeI64: {0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35}, typeF32: {0x2a}, typeF64: {0x2b}}
	return join(r.pointer(depth+1), access(loads[t][r.IntN(len(loads[t]))], r.offset()))
}

// callOf calls a function that gives a value of the type: one before this one, and
// now and then any, by name or through the table, where it may not be.
func (r *random) callOf(t byte, depth int) []byte {
	var fit []int
	for n, f := range r.funcs {
		if string(f.results) == string([]byte{t}) && (n < r.n || r.chance(30)) {
			fit = append(fit, n)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	n := fit[r.IntN(len(fit))]
	var code []byte
	for _, p := range r.funcs[n].params {
		code = join(code, r.expression(p, depth+2))
	}
	if r.chance(15) {
		index := join(r.expression(typeI32, depth+2), i32(7), op(0x71))
		return join(code, index, op(0x11), uleb(r.funcs[n].signature), uleb(1))
	}
	return join(code, call(randomImports+moduleFuncs+n))
}
