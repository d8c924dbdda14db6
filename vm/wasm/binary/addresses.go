package binary

// addresses finds the accesses of a function whose address is simply a local,
// as that of most is: a field of what the local points at. Cut to 32 bits once
// and kept in a local of its own, such an address stays one value to the engine,
// which checks its bounds once and not at every access.
type addresses struct {
	// producers and accesses are offsets of instructions in the body: those that
	// push such an address, and those that take it.
	producers, accesses map[int]bool

	m     *Module
	stack []int // for each value the offset of what pushed it, notLocal for all but locals
}

const notLocal = -1

func (m *Module) findAddresses(body []byte) *addresses {
	a := &addresses{producers: map[int]bool{}, accesses: map[int]bool{}, m: m}
	for r := (&reader{b: body}); !r.done(); {
		at := r.at
		op, o := r.instruction()
		a.step(at, op, o)
	}
	return a
}

// pop takes values off; below what is known lie values of unknown origin.
func (a *addresses) pop(n int) (lowest int) {
	lowest = notLocal
	for ; n > 0; n-- {
		lowest = notLocal
		if last := len(a.stack) - 1; last >= 0 {
			lowest = a.stack[last]
			a.stack = a.stack[:last]
		}
	}
	return lowest
}

func (a *addresses) push(n int) {
	for ; n > 0; n-- {
		a.stack = append(a.stack, notLocal)
	}
}

func (a *addresses) step(at int, op uint32, o operands) {
	switch {
	case op == opLocalGet:
		a.stack = append(a.stack, at)
	case op == opLocalTee:
		a.pop(1)
		a.stack = append(a.stack, at)
	case op >= 0x28 && op <= 0x35:
		a.access(at, 1)
		a.push(1)
	case op >= 0x36 && op <= 0x3e:
		a.access(at, 2)
	case op == opCall:
		a.call(a.m.signature(uint32(o.a)))
	case op == opCallInd:
		a.pop(1)
		a.call(a.m.Types[o.a])
	default:
		pops, pushes, known := stackEffect(op)
		if !known {
			a.stack = a.stack[:0]
			return
		}
		a.pop(pops)
		a.push(pushes)
	}
}

func (a *addresses) access(at, operands int) {
	if producer := a.pop(operands); producer != notLocal {
		a.producers[producer], a.accesses[at] = true, true
	}
}

func (a *addresses) call(t FuncType) {
	a.pop(len(t.Params))
	a.push(len(t.Results))
}

// stackEffect gives how many values an instruction takes and leaves. It is not
// known for control instructions and for rare ones: after them all that is on
// the stack is of unknown origin.
func stackEffect(op uint32) (pops, pushes int, known bool) {
	switch {
	case op == 0x01: // nop
		return 0, 0, true
	case op == opBrIf, op == 0x1a, op == opLocalSet, op == opGlobalSet:
		return 1, 0, true
	case op == opSelect, op == 0x1c:
		return 3, 1, true
	case op == opGlobalGet, op == opMemorySize, op >= opI32Const && op <= opF64Const:
		return 0, 1, true
	case op == opMemoryGrow, op == opI32Eqz, op == 0x50, // i64.eqz
		op >= 0x67 && op <= 0x69, op >= 0x79 && op <= 0x7b, // clz, ctz, popcnt
		op >= 0x8b && op <= 0x91, op >= 0x99 && op <= 0x9f, // float arithmetic on one operand
		op >= 0xa7 && op <= 0xc4: // conversions
		return 1, 1, true
	case op >= opI32Eq && op <= 0x66, op >= 0x6a && op <= 0xa6: // what is left: comparisons and arithmetic on two
		return 2, 1, true
	}
	return 0, 0, false
}

// cutLocals says which locals have an up-to-date 32-bit copy at a place in a
// function, for each block around it.
type cutLocals []map[uint32]bool

// enter begins a block. A loop begins anew: it may change locals further down.
func (c *cutLocals) enter(loop bool) {
	inner := map[uint32]bool{}
	if !loop {
		for p := range (*c)[len(*c)-1] {
			inner[p] = true
		}
	}
	*c = append(*c, inner)
}

// leave ends a block: what was cut before it and not changed in it, still is.
func (c *cutLocals) leave() { *c = (*c)[:max(1, len(*c)-1)] }

func (c cutLocals) has(p uint32) bool { return c[len(c)-1][p] }

func (c cutLocals) add(p uint32) { c[len(c)-1][p] = true }

// changed says that a local has a new value.
func (c cutLocals) changed(p uint32) {
	for _, level := range c {
		delete(level, p)
	}
}
