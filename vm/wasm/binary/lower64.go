package binary

// memoryPagesAddressable is how many 64 KiB pages 32 bits can address.
const memoryPagesAddressable = 65536

// lowerMemory64 makes a module with a 64-bit memory run on a 32-bit one.
// Pointers stay 64 bits wide in signatures, locals and memory, so that hosts and
// memory images are those of the original; only the address of each access is
// cut to 32 bits. An address of 4 GiB and more would alias instead of trapping,
// which no compiler-made module of that memory size can produce.
//
// Those instructions that touch many bytes at once check their operands: they
// are rare, and cut lengths would do half of the work without a trap.
func (m *Module) lowerMemory64() error {
	for i := range m.Memories {
		l := &m.Memories[i]
		if l.Min > memoryPagesAddressable {
			return &UnsupportedError{"an initial memory over 4 GiB"}
		}
		if l.Flags&limitsHasMax == 0 || l.Max > memoryPagesAddressable {
			l.Max = memoryPagesAddressable
		}
		l.Flags = limitsHasMax
	}
	for i := range m.datas {
		if m.datas[i].flags == 1 {
			continue
		}
		var err error
		if m.datas[i].offset, err = lowerOffset(m.datas[i].offset); err != nil {
			return err
		}
	}
	for i := range m.Codes {
		if err := m.lowerFunc(i); err != nil {
			return err
		}
	}
	return nil
}

// lowerOffset turns an i64.const offset into an i32.const one.
func lowerOffset(offset []byte) ([]byte, error) {
	r := &reader{b: offset}
	op, o := r.instruction()
	if end, _ := r.instruction(); op != opI64Const || end != opEnd || o.s < 0 || o.s > 1<<32-1 {
		return nil, &UnsupportedError{"data at an address that is not a small constant"}
	}
	e := emitter{}
	e.i32(int32(uint32(o.s)))
	e.op(opEnd)
	return e.b, nil
}

func (m *Module) lowerFunc(index int) error {
	l := &lowering{scratch: m.scratch(index), cut: cutLocals{{}}}
	body := l.scratch.code.body
	l.addresses = m.findAddresses(body)
	l.out.b = make([]byte, 0, len(body)+len(body)/3)
	for r := (&reader{b: body}); !r.done(); {
		at := r.at
		op, o := r.instruction()
		if isAccess(op) && o.b > 1<<32-1 {
			return &UnsupportedError{"a memory access at a constant offset over 4 GiB"}
		}
		if l.rewrite(op, body[at:r.at]) {
			continue
		}
		if l.addresses.producers[at] {
			l.pushCut(op, uint32(o.a))
			continue
		}
		if !l.addresses.accesses[at] {
			l.before(op)
		}
		l.out.b = append(l.out.b, body[at:r.at]...)
		l.follow(op, o)
	}
	l.scratch.code.body = l.out.b
	return nil
}

func isAccess(op uint32) bool {
	n := op & 0xffff
	return op >= 0x28 && op <= 0x3e || op>>16 == prefixSIMD && (n <= 11 || n >= 84 && n <= 93)
}

type lowering struct {
	scratch   *scratch
	out       emitter
	addresses *addresses
	cut       cutLocals
}

// follow keeps track of what the copies of locals are worth.
func (l *lowering) follow(op uint32, o operands) {
	switch op {
	case opLocalSet, opLocalTee:
		l.cut.changed(uint32(o.a))
	case opBlock, opIf, opLoop:
		l.cut.enter(op == opLoop)
	case opElse:
		l.cut.leave()
		l.cut.enter(false)
	case opEnd:
		l.cut.leave()
	}
}

// pushCut pushes a local as a 32-bit address in place of the instruction that
// pushed, or set and pushed, all of it.
func (l *lowering) pushCut(op uint32, p uint32) {
	copied := l.scratch.local(I32, slotAddress+int(p))
	if op == opLocalGet && l.cut.has(p) {
		l.out.index(opLocalGet, copied)
		return
	}
	l.out.index(byte(op), p)
	l.out.op(opI32WrapI64)
	l.out.index(opLocalTee, copied)
	l.cut.changed(p)
	l.cut.add(p)
}

// rewrite replaces the instructions whose result changes its width; the others
// only need their operands changed before them.
func (l *lowering) rewrite(op uint32, original []byte) bool {
	switch op {
	case opMemorySize:
		l.out.b = append(l.out.b, original...)
		l.out.op(opI64ExtendU)
	case opMemoryGrow:
		// More pages than fit in 32 bits must fail, not wrap around.
		pages := l.scratch.local(I64, slotValue)
		l.out.index(opLocalTee, pages)
		l.out.i64(memoryPagesAddressable)
		l.out.op(opI64LeU, opIf, I64)
		l.out.index(opLocalGet, pages)
		l.out.op(opI32WrapI64)
		l.out.b = append(l.out.b, original...)
		l.out.op(opI64ExtendS, opElse)
		l.out.i64(-1)
		l.out.op(opEnd)
	default:
		return false
	}
	return true
}

// before brings the address on the stack to 32 bits.
func (l *lowering) before(op uint32) {
	switch {
	case op >= 0x28 && op <= 0x35:
		l.out.op(opI32WrapI64)
	case op == 0x36, op == 0x3a, op == 0x3b:
		l.under(I32)
	case op == 0x37, op >= 0x3c && op <= 0x3e:
		l.under(I64)
	case op == 0x38:
		l.under(F32)
	case op == 0x39:
		l.under(F64)
	case op == opMemoryInit:
		l.bulk(I64, I32, I32)
	case op == opMemoryCopy:
		l.bulk(I64, I64, I64)
	case op == opMemoryFill:
		l.bulk(I64, I32, I64)
	case op>>16 == prefixSIMD:
		switch n := op & 0xffff; {
		case n <= 10, n == 92, n == 93:
			l.out.op(opI32WrapI64)
		case n == 11, n >= 84 && n <= 91:
			l.under(V128)
		}
	}
}

// under cuts the address that lies below one value.
func (l *lowering) under(kind byte) {
	value := l.scratch.local(kind, slotValue)
	l.out.index(opLocalSet, value)
	l.out.op(opI32WrapI64)
	l.out.index(opLocalGet, value)
}

// bulk brings the three operands on the stack to 32 bits and traps if one does
// not fit.
func (l *lowering) bulk(kinds ...byte) {
	slots := [3]int{slotValue, slotSecond, slotThird}
	for i := 2; i >= 0; i-- {
		l.out.index(opLocalSet, l.scratch.local(kinds[i], slots[i]))
	}
	for i, kind := range kinds {
		operand := l.scratch.local(kind, slots[i])
		if kind == I32 {
			l.out.index(opLocalGet, operand)
			continue
		}
		l.out.index(opLocalGet, operand)
		l.out.i64(32)
		l.out.op(opI64ShrU, opI32WrapI64, opIf, blockVoid, opUnreachable, opEnd)
		l.out.index(opLocalGet, operand)
		l.out.op(opI32WrapI64)
	}
}
