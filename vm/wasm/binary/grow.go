package binary

// PagesExport is the exported i64 global with the most pages of 64 KiB that the
// memory may have. The host sets it once; it is no part of a process's state.
const PagesExport = "__wallaby_pages"

// boundMemory makes memory.grow fail beyond the number of pages that the host
// sets. Engines differ in what they let a host bound, and in when they fail.
func (m *Module) boundMemory() {
	if len(m.Memories) == 0 {
		return
	}
	bodies := len(m.Codes)
	e := emitter{}
	e.i64(memoryPagesAddressable)
	pages := m.addGlobal(I64, e.b, PagesExport)
	m.transient[pages] = true
	kind := I32
	if m.isMemory64() {
		kind = I64
	}
	grow := m.addFunc(m.addType(FuncType{Params: []byte{kind}, Results: []byte{kind}}), code{body: growBody(kind, pages)})
	for i := range bodies {
		m.Codes[i].body = replaceGrow(m.Codes[i].body, grow)
	}
}

// growBody asks for more than there may be in a way that cannot overflow: what
// is asked for is compared with what is still allowed.
func growBody(kind byte, pages uint32) []byte {
	const delta = 0
	e := emitter{}
	extend := func() {
		if kind == I32 {
			e.op(opI64ExtendU)
		}
	}
	e.index(opLocalGet, delta)
	extend()
	e.index(opGlobalGet, pages)
	e.op(opMemorySize, 0)
	extend()
	e.op(opI64Sub, opI64GtU, opIf, kind)
	if kind == I32 {
		e.i32(-1)
	} else {
		e.i64(-1)
	}
	e.op(opElse)
	e.index(opLocalGet, delta)
	e.op(opMemoryGrow, 0, opEnd, opEnd)
	return e.b
}

// replaceGrow makes every memory.grow a call.
func replaceGrow(body []byte, grow uint32) []byte {
	out := emitter{}
	start := 0
	for r := (&reader{b: body}); !r.done(); {
		at := r.at
		if op, _ := r.instruction(); op == opMemoryGrow {
			out.b = append(out.b, body[start:at]...)
			out.index(opCall, grow)
			start = r.at
		}
	}
	if start == 0 {
		return body
	}
	return append(out.b, body[start:]...)
}
