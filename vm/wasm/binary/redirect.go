package binary

// redirect makes every use of some functions a use of others: in calls, tables,
// exports and references. Bodies from the given one on are left alone; they are
// those that passes have added.
func (m *Module) redirect(to map[uint32]uint32, bodies int) {
	if len(to) == 0 {
		return
	}
	for i := range m.Exports {
		if e := &m.Exports[i]; e.Kind == KindFunc {
			e.Index = follow(to, e.Index)
		}
	}
	if m.start >= 0 {
		m.start = int64(follow(to, uint32(m.start)))
	}
	for i := range m.Globals {
		m.Globals[i].init = redirected(m.Globals[i].init, to)
	}
	for _, e := range m.elements {
		for i, f := range e.funcs {
			e.funcs[i] = follow(to, f)
		}
		for i, expr := range e.exprs {
			e.exprs[i] = redirected(expr, to)
		}
	}
	for i := range bodies {
		m.Codes[i].body = redirected(m.Codes[i].body, to)
	}
}

func follow(to map[uint32]uint32, index uint32) uint32 {
	if target, ok := to[index]; ok {
		return target
	}
	return index
}

// redirected gives code with its function indices replaced, or the same code if
// there are none to replace.
func redirected(code []byte, to map[uint32]uint32) []byte {
	out := emitter{}
	start := 0
	for r := (&reader{b: code}); !r.done(); {
		at := r.at
		op, o := r.instruction()
		if op != opCall && op != opRefFunc {
			continue
		}
		if target, ok := to[uint32(o.a)]; ok {
			out.b = append(out.b, code[start:at]...)
			out.index(byte(op), target)
			start = r.at
		}
	}
	if start == 0 {
		return code
	}
	return append(out.b, code[start:]...)
}

// wrapExports puts a function around each exported one that is chosen. What is
// exported is called by the host only, so the module's own calls do not pass the
// wrapper.
func (m *Module) wrapExports(chosen func(index uint32) bool, before, after func(e *emitter)) {
	wrappers := map[uint32]uint32{}
	wrap := func(index uint32) uint32 {
		if !chosen(index) {
			return index
		}
		if w, ok := wrappers[index]; ok {
			return w
		}
		t := m.signature(index)
		e := emitter{}
		before(&e)
		for i := range t.Params {
			e.index(opLocalGet, uint32(i))
		}
		e.index(opCall, index)
		after(&e)
		e.op(opEnd)
		wrappers[index] = m.addFunc(m.addType(t), code{body: e.b})
		return wrappers[index]
	}
	for i := range m.Exports {
		if e := &m.Exports[i]; e.Kind == KindFunc {
			e.Index = wrap(e.Index)
		}
	}
}
