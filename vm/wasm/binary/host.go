package binary

// StopExport is the exported i32 global by which a host ends a call in hand: a
// host function that failed sets it to one, and the guest traps as soon as the
// function returns. Engines differ in what they make of a host function's error,
// and one crashes. It is no part of a process's state.
const StopExport = "__wallaby_stop"

// guardImports puts a function around each import that looks whether the guest
// is to stop.
func (m *Module) guardImports() {
	bodies := len(m.Codes)
	stop := m.addGlobal(I32, []byte{opI32Const, 0}, StopExport)
	m.transient[stop] = true
	guards := map[uint32]uint32{}
	var index uint32
	for _, im := range m.Imports {
		if im.Kind != KindFunc {
			continue
		}
		if im.Module != RefillModule {
			t := m.Types[im.Type]
			e := emitter{}
			for i := range t.Params {
				e.index(opLocalGet, uint32(i))
			}
			e.index(opCall, index)
			e.index(opGlobalGet, stop)
			e.op(opIf, blockVoid, opUnreachable, opEnd, opEnd)
			guards[index] = m.addFunc(im.Type, code{body: e.b})
		}
		index++
	}
	m.redirect(guards, bodies)
}

// internalizeMemcpy lets the guest copy memory by itself where it would call its
// host, which it does hundreds of times in a message. What it does is what the
// glue does, by TypedArray.prototype.copyWithin: what lies outside the memory is
// left out, and nothing fails. aos needs that: its realloc reads as many bytes as
// the new block has, however short and near the end of the memory the old one
// was.
func (m *Module) internalizeMemcpy() {
	if len(m.Memories) == 0 {
		return
	}
	bodies := len(m.Codes)
	own := map[uint32]uint32{}
	for _, name := range []string{"emscripten_memcpy_big", "_emscripten_memcpy_js", "emscripten_memcpy_js"} {
		index, ok := m.importedFunc("env", name)
		if !ok {
			continue
		}
		kind := I32
		if m.isMemory64() {
			kind = I64
		}
		if !m.signature(index).equal(FuncType{Params: []byte{kind, kind, kind}}) {
			continue
		}
		own[index] = m.addFunc(m.addType(m.signature(index)), copyCode(kind))
	}
	m.redirect(own, bodies)
}

// copyCode reckons in 64 bits, since a memory of 32-bit addresses may have 2^32
// bytes.
func copyCode(kind byte) code {
	const (
		to = iota
		from
		count
		size
		toMax
		fromMax
		most
	)
	e := emitter{}
	get := func(l uint32) {
		e.index(opLocalGet, l)
		if l <= count && kind == I32 {
			e.op(opI64ExtendU)
		}
	}
	// smaller leaves the smaller of two locals in a third.
	smaller := func(a, b, result uint32) {
		get(a)
		get(b)
		get(a)
		get(b)
		e.op(opI64LtU, opSelect)
		e.index(opLocalSet, result)
	}
	e.op(opMemorySize, 0)
	if kind == I32 {
		e.op(opI64ExtendU)
	}
	e.i64(16)
	e.op(opI64Shl)
	e.index(opLocalSet, size)
	smaller(to, size, toMax)
	smaller(from, size, fromMax)
	e.index(opLocalGet, size)
	e.index(opLocalGet, fromMax)
	e.op(opI64Sub)
	e.index(opLocalSet, most)
	smaller(count, most, most)
	e.index(opLocalGet, size)
	e.index(opLocalGet, toMax)
	e.op(opI64Sub)
	e.index(opLocalSet, size)
	smaller(most, size, most)
	for _, l := range []uint32{toMax, fromMax, most} {
		e.index(opLocalGet, l)
		if kind == I32 {
			e.op(opI32WrapI64)
		}
	}
	e.op(prefixMisc, 10, 0, 0, opEnd)
	return code{locals: []local{{4, I64}}, body: e.b}
}
