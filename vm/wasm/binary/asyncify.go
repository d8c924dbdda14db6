package binary

import "strings"

// foldAsyncify takes out of a module what Asyncify put in so that JavaScript
// can suspend it: after every call a test whether the stack is being unwound,
// and at every entry whether it is being rewound. A host that simply waits
// never does either, so the state that these tests look at is always 0.
//
// It runs before a budget is metered and after gas is counted exactly: the
// tests are paid for although they are not made.
func (m *Module) foldAsyncify() {
	state, ok := m.asyncifyState()
	if !ok {
		return
	}
	for i := range m.Codes {
		f := folder{state: state, in: reader{b: m.Codes[i].body}}
		m.Codes[i].body = f.fold()
	}
}

// asyncifyState finds the global with the state, provided that nothing but
// exports which the host never calls can change it.
func (m *Module) asyncifyState() (state uint32, ok bool) {
	get, ok := m.exported("asyncify_get_state")
	imported := m.countImports(KindFunc)
	if !ok || get < imported || get-imported >= uint32(len(m.Codes)) {
		return 0, false
	}
	r := reader{b: m.Codes[get-imported].body}
	op, o := r.instruction()
	if end, _ := r.instruction(); op != opGlobalGet || end != opEnd || !r.done() {
		return 0, false
	}
	state = uint32(o.a)
	if init := m.Globals[state].init; string(init) != string([]byte{opI32Const, 0, opEnd}) {
		return 0, false
	}
	setters := map[uint32]bool{}
	for _, name := range []string{"asyncify_start_unwind", "asyncify_stop_unwind", "asyncify_start_rewind", "asyncify_stop_rewind"} {
		if f, ok := m.exported(name); ok {
			setters[f] = true
		}
	}
	for _, e := range m.elements {
		for _, f := range e.funcs {
			if setters[f] {
				return 0, false
			}
		}
		if len(e.exprs) > 0 {
			return 0, false
		}
	}
	for _, e := range m.Exports {
		if e.Kind == KindFunc && setters[e.Index] && !strings.HasPrefix(e.Name, "asyncify_") {
			return 0, false
		}
	}
	for i, c := range m.Codes {
		for r := (&reader{b: c.body}); !r.done(); {
			op, o := r.instruction()
			sets := op == opGlobalSet && o.a == uint64(state) && !setters[imported+uint32(i)]
			calls := (op == opCall || op == opRefFunc) && setters[uint32(o.a)]
			if sets || calls {
				return 0, false
			}
		}
	}
	return state, true
}

// folder rewrites one function. values are the values on top of the stack whose
// code, at the end of out, has no effect but them, so that it can be taken back.
type folder struct {
	state  uint32
	in     reader
	out    []byte
	values []pureValue
	blocks []bool // for each open block: it was an if of which only then is kept
}

type pureValue struct {
	start   int // where its code begins
	known   bool
	value   int32
	notZero bool // it is not known but this
}

func (v pureValue) isTrue() bool { return v.notZero || v.known && v.value != 0 }

func (v pureValue) isFalse() bool { return v.known && v.value == 0 }

func (f *folder) fold() []byte {
	f.out = make([]byte, 0, len(f.in.b))
	for !f.in.done() {
		at := f.in.at
		op, o := f.in.instruction()
		if !f.instruction(op, o) {
			f.out = append(f.out, f.in.b[at:f.in.at]...)
			f.values = f.values[:0]
		}
	}
	return f.out
}

// instruction writes an instruction, and reports false for those that are to be
// copied and of whose operands nothing is known.
func (f *folder) instruction(op uint32, o operands) bool {
	switch op {
	case opI32Const:
		f.constant(len(f.out), int32(o.s))
	case opGlobalGet:
		if o.a != uint64(f.state) {
			f.pure(op, o)
			return true
		}
		f.constant(len(f.out), 0)
	case opLocalGet:
		f.pure(op, o)
	case opI32Eqz:
		return f.eqz()
	case opI32Eq, opI32Ne, opI32And, opI32Or:
		return f.binary(op)
	case opSelect:
		return f.choose()
	case opBrIf:
		return f.branch(uint32(o.a))
	case opIf:
		return f.begin(o.s)
	case opBlock, opLoop:
		f.blocks = append(f.blocks, false)
		return false
	case opElse:
		return f.otherwise()
	case opEnd:
		if len(f.blocks) > 0 {
			f.blocks = f.blocks[:len(f.blocks)-1]
		}
		return false
	default:
		return false
	}
	return true
}

func (f *folder) constant(start int, value int32) {
	f.out = appendS(append(f.out[:start], opI32Const), int64(value))
	f.values = append(f.values, pureValue{start: start, known: true, value: value})
}

func (f *folder) pure(op uint32, o operands) {
	f.values = append(f.values, pureValue{start: len(f.out)})
	f.out = appendIndex(append(f.out, byte(op)), uint32(o.a))
}

// pop takes the top n values off, if they are pure.
func (f *folder) pop(n int) []pureValue {
	if len(f.values) < n {
		return nil
	}
	top := f.values[len(f.values)-n:]
	f.values = f.values[:len(f.values)-n]
	return top
}

func (f *folder) eqz() bool {
	v := f.pop(1)
	switch {
	case v == nil:
		return false
	case v[0].isFalse():
		f.constant(v[0].start, 1)
	case v[0].isTrue():
		f.constant(v[0].start, 0)
	default:
		f.out = append(f.out, opI32Eqz)
		f.values = append(f.values, pureValue{start: v[0].start})
	}
	return true
}

func (f *folder) binary(op uint32) bool {
	v := f.pop(2)
	if v == nil {
		return false
	}
	a, b := v[0], v[1]
	switch {
	case a.known && b.known:
		f.constant(a.start, compute(op, a.value, b.value))
	case op == opI32Or && a.isFalse():
		f.out = append(f.out[:a.start], f.out[b.start:]...)
		f.values = append(f.values, pureValue{start: a.start, notZero: b.notZero})
	case op == opI32Or && b.isFalse():
		f.out = f.out[:b.start]
		f.values = append(f.values, pureValue{start: a.start, notZero: a.notZero})
	case op == opI32And && (a.isFalse() || b.isFalse()):
		f.constant(a.start, 0)
	default:
		f.out = append(f.out, byte(op))
		f.values = append(f.values, pureValue{start: a.start, notZero: op == opI32Or && (a.isTrue() || b.isTrue())})
	}
	return true
}

func compute(op uint32, a, b int32) int32 {
	var is bool
	switch op {
	case opI32Eq:
		is = a == b
	case opI32Ne:
		is = a != b
	case opI32And:
		return a & b
	default:
		return a | b
	}
	if is {
		return 1
	}
	return 0
}

// choose folds select.
func (f *folder) choose() bool {
	v := f.pop(3)
	if v == nil {
		return false
	}
	a, b, condition := v[0], v[1], v[2]
	switch {
	case condition.isTrue():
		f.out = f.out[:b.start]
		f.values = append(f.values, a)
	case condition.isFalse():
		f.out = append(f.out[:a.start], f.out[b.start:condition.start]...)
		b.start = a.start
		f.values = append(f.values, b)
	default:
		f.out = append(f.out, opSelect)
		f.values = append(f.values, pureValue{start: a.start})
	}
	return true
}

func (f *folder) branch(label uint32) bool {
	v := f.pop(1)
	switch {
	case v == nil:
		return false
	case v[0].isFalse():
		f.out = f.out[:v[0].start]
		return true // what lies below is as it was
	case v[0].isTrue():
		f.out = appendIndex(append(f.out[:v[0].start], opBr), label)
		f.values = f.values[:0]
		return true
	}
	return false
}

// begin folds an if to a block, so that labels inside keep their numbers, or to
// nothing.
func (f *folder) begin(blockType int64) bool {
	v := f.pop(1)
	// A type index, which is not negative, may have parameters.
	if v == nil || blockType >= 0 || !v[0].isTrue() && !v[0].isFalse() {
		f.blocks = append(f.blocks, false)
		return false
	}
	f.out = f.out[:v[0].start]
	if v[0].isFalse() && f.skip() == opEnd {
		return true
	}
	f.out = appendS(append(f.out, opBlock), blockType)
	f.blocks = append(f.blocks, v[0].isTrue())
	f.values = f.values[:0]
	return true
}

// otherwise ends a then that is kept alone.
func (f *folder) otherwise() bool {
	if len(f.blocks) == 0 || !f.blocks[len(f.blocks)-1] {
		return false
	}
	f.skip()
	f.blocks = f.blocks[:len(f.blocks)-1]
	f.out = append(f.out, opEnd)
	f.values = f.values[:0]
	return true
}

// skip reads to the else or end of the block in hand and says which it was.
func (f *folder) skip() uint32 {
	for depth := 0; ; {
		op, _ := f.in.instruction()
		switch op {
		case opBlock, opLoop, opIf:
			depth++
		case opElse:
			if depth == 0 {
				return op
			}
		case opEnd:
			if depth == 0 {
				return op
			}
			depth--
		}
	}
}
