package binary

import (
	"encoding/binary"
	"fmt"
)

// Opcodes that the passes speak of. Prefixed instructions are written as
// prefix<<16 | number.
const (
	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10
	opCallInd     = 0x11
	opSelect      = 0x1b
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opLocalTee    = 0x22
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opTableSet    = 0x26
	opMemorySize  = 0x3f
	opMemoryGrow  = 0x40
	opI32Const    = 0x41
	opI64Const    = 0x42
	opF32Const    = 0x43
	opF64Const    = 0x44
	opI32Eqz      = 0x45
	opI32Eq       = 0x46
	opI32Ne       = 0x47
	opI32LtS      = 0x48
	opI64LtS      = 0x53
	opI64LtU      = 0x54
	opI64GtU      = 0x56
	opI64LeU      = 0x58
	opI32Add      = 0x6a
	opI32Sub      = 0x6b
	opI32And      = 0x71
	opI32Or       = 0x72
	opI64Sub      = 0x7d
	opI64And      = 0x83
	opI64Or       = 0x84
	opI64Shl      = 0x86
	opI64ShrU     = 0x88
	opI32WrapI64  = 0xa7
	opI64ExtendS  = 0xac // i64.extend_i32_s
	opI64ExtendU  = 0xad // i64.extend_i32_u
	opRefFunc     = 0xd2

	prefixMisc    = 0xfc
	prefixSIMD    = 0xfd
	prefixThreads = 0xfe

	relaxedSIMD = 0x100 // the first of its numbers

	opMemoryInit = prefixMisc<<16 | 8
	opMemoryCopy = prefixMisc<<16 | 10
	opMemoryFill = prefixMisc<<16 | 11

	blockVoid = 0x40
)

// operands are the immediates that some pass looks at.
type operands struct {
	a, b uint64 // an index, or the alignment and offset of an access
	s    int64  // a constant
}

// instruction reads one instruction past its immediates.
func (r *reader) instruction() (op uint32, o operands) {
	op = uint32(r.byte())
	switch {
	case op == prefixMisc:
		return r.misc()
	case op == prefixSIMD:
		return r.simd()
	case op == prefixThreads:
		r.refuse("threads")
	case op >= 0x06 && op <= 0x0a, op == 0x18, op == 0x19, op == 0x1f:
		r.refuse("exceptions")
	case op == 0x12, op == 0x13, op == 0x15:
		r.refuse("tail calls")
	case op == opBlock, op == opLoop, op == opIf, op == opI32Const, op == opI64Const:
		o.s = r.s64()
	case op == opBr, op == opBrIf, op == opCall, op >= opLocalGet && op <= 0x26, op == opRefFunc,
		op == opMemorySize, op == opMemoryGrow:
		o.a = uint64(r.u32())
	case op == opBrTable:
		for n := r.count(); n >= 0; n-- {
			r.u32()
		}
	case op == opCallInd:
		o.a, o.b = uint64(r.u32()), uint64(r.u32())
	case op >= 0x28 && op <= 0x3e:
		o = r.access()
	case op == 0x1c, op == 0xd0:
		r.referenceTyped(op)
	case op == opF32Const:
		r.bytes(4)
	case op == opF64Const:
		r.bytes(8)
	case op <= 0x01, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == opSelect,
		op >= 0x45 && op <= 0xc4, op == 0xd1:
	default:
		r.fail("opcode %#x is unknown", op)
	}
	return op, o
}

// access reads alignment and offset. An alignment with a seventh bit names
// another memory.
func (r *reader) access() operands {
	o := operands{a: uint64(r.u32()), b: r.u64()}
	if o.a >= 1<<6 {
		r.refuse("more than one memory")
	}
	return o
}

// referenceTyped passes the types of a select, or of a null.
func (r *reader) referenceTyped(op uint32) {
	if op == 0x1c {
		r.valueTypes()
		return
	}
	if t := r.byte(); t != funcRef && t != externRef {
		r.refuse(fmt.Sprintf("reference type %#x", t))
	}
}

func (r *reader) misc() (op uint32, o operands) {
	n := r.u32()
	switch {
	case n <= 7:
	case n == 8, n == 10, n == 12, n == 14:
		o.a, o.b = uint64(r.u32()), uint64(r.u32())
	case n == 9, n == 11, n == 13, n >= 15 && n <= 17:
		o.a = uint64(r.u32())
	default:
		r.fail("opcode 0xfc %d is unknown", n)
	}
	return prefixMisc<<16 | n, o
}

func (r *reader) simd() (op uint32, o operands) {
	n := r.u32()
	switch {
	case n <= 11, n == 92, n == 93:
		o = r.access()
	case n == 12, n == 13:
		r.bytes(16)
	case n >= 21 && n <= 34:
		r.byte()
	case n >= 84 && n <= 91:
		o = r.access()
		r.byte()
	case n >= relaxedSIMD:
		// Its results may differ from one CPU to the next.
		r.refuse("relaxed SIMD, which is not deterministic")
	}
	return prefixSIMD<<16 | n, o
}

// emitter writes instructions.
type emitter struct{ b []byte }

func (e *emitter) op(bytes ...byte) { e.b = append(e.b, bytes...) }

func (e *emitter) index(op byte, index uint32) { e.b = appendIndex(append(e.b, op), index) }

func (e *emitter) i32(v int32) { e.b = appendS(append(e.b, opI32Const), int64(v)) }

func (e *emitter) i64(v int64) { e.b = appendS(append(e.b, opI64Const), v) }

func (e *emitter) f32(bits uint32) {
	e.b = binary.LittleEndian.AppendUint32(append(e.b, opF32Const), bits)
}

func (e *emitter) f64(bits uint64) {
	e.b = binary.LittleEndian.AppendUint64(append(e.b, opF64Const), bits)
}

func (e *emitter) v128(low, high uint64) {
	e.op(prefixSIMD, 12)
	e.b = binary.LittleEndian.AppendUint64(e.b, low)
	e.b = binary.LittleEndian.AppendUint64(e.b, high)
}

func (e *emitter) callIndirect(typeIndex uint32) {
	e.index(opCallInd, typeIndex)
	e.op(0)
}

// zeros pushes a zero of each type.
func (e *emitter) zeros(types []byte) {
	for _, t := range types {
		switch t {
		case I32:
			e.i32(0)
		case I64:
			e.i64(0)
		case F32:
			e.f32(0)
		case F64:
			e.f64(0)
		case V128:
			e.v128(0, 0)
		default:
			e.op(0xd0, t)
		}
	}
}
