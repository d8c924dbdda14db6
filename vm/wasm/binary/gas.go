package binary

// Metering says how a module's gas is counted.
type Metering int

const (
	// MeteringNone counts nothing: an endless loop never stops.
	MeteringNone Metering = iota
	// MeteringExact charges ao's own table, segment by segment, as
	// @permaweb/wasm-metering does, so that gas numbers equal its numbers.
	MeteringExact
	// MeteringBudget charges less often, for formats whose gas nobody reports;
	// see budget.
	MeteringBudget
)

// GasExport is the exported i64 global that holds the gas at hand. The host sets
// it before a call. When it falls below zero the guest asks its host for more;
// below zero after a trap means that there was none.
const GasExport = "__wallaby_gas"

// BudgetExport is a second counter, which only modules that count gas themselves
// have: see internalizeGas.
const BudgetExport = "__wallaby_budget"

// RefillModule and RefillName name the import (counter i32, left i64) -> i64 by
// which a guest asks for more gas: counter is one of the Refill constants, left
// what it has, which is below zero. The answer is what it has now; the guest
// traps if that is still below zero. So a host that gives gas out in portions
// can stop a guest whenever one is used up, on every engine, and always at the
// same instruction when the gas itself is.
const (
	RefillModule = "__wallaby"
	RefillName   = "refill"

	RefillGas    = 0
	RefillBudget = 1
)

// segmentOverhead is the price of the two instructions that wasm-metering
// inserts, which it charges for as well.
const segmentOverhead = 91

// price gives ao's price of an instruction by its opcode: wasm-metering's
// default table, which goes by names without types, so that float additions
// cost as much as integer ones and whatever it does not name is free.
func price(op uint32) int64 {
	switch {
	case op <= opIf:
		return 1
	case op == opElse, op == opBr, op == opBrIf, op == opReturn, op == opCall:
		return 90
	case op == opBrTable, op == 0x1a, op == opSelect, op >= opLocalGet && op <= opGlobalSet, op >= 0x28 && op <= 0x3e:
		return 120
	case op == opCallInd, op == opMemoryGrow:
		return 10_000
	case op == opMemorySize:
		return 100
	case op >= opI32Const && op <= opF64Const:
		return 1
	case op >= 0x45 && op <= 0x5c, op == 0x61, op == 0x62, op >= 0x92 && op <= 0x94, op >= 0xa0 && op <= 0xa2:
		return 45
	case op >= 0x67 && op <= 0x78:
		return arithmeticPrice(op - 0x67)
	case op >= 0x79 && op <= 0x8a:
		return arithmeticPrice(op - 0x79)
	}
	return 0
}

// arithmeticPrice goes by the place after clz: clz ctz popcnt add sub mul, four
// divisions, and or xor, three shifts, two rotations.
func arithmeticPrice(n uint32) int64 {
	switch {
	case n >= 6 && n <= 9:
		return 36_000
	case n >= 13 && n <= 15:
		return 67
	case n >= 16:
		return 90
	}
	return 45
}

// importRefill adds the import that refills counters, which moves every function
// of the module up by one.
func (m *Module) importRefill() {
	own := m.countImports(KindFunc)
	up := make(map[uint32]uint32, len(m.Funcs))
	for i := range uint32(len(m.Funcs)) {
		up[own+i] = own + i + 1
	}
	m.redirect(up, len(m.Codes))
	t := m.addType(FuncType{Params: []byte{I32, I64}, Results: []byte{I64}})
	m.Imports = append(m.Imports, Import{Module: RefillModule, Name: RefillName, Kind: KindFunc, Type: t})
	m.refill = own
}

// gasCounter is something that is charged: a global with what is left and the
// function that asks for more or traps.
type gasCounter struct{ left, refill uint32 }

// counter adds a counter under an exported name. It is no part of a process's
// state, since a host sets it before each call. importRefill has gone before.
func (m *Module) counter(export string, which int32) gasCounter {
	e := emitter{}
	e.i64(1<<63 - 1)
	c := gasCounter{left: m.addGlobal(I64, e.b, export)}
	m.transient[c.left] = true
	e = emitter{}
	e.i32(which)
	e.index(opGlobalGet, c.left)
	e.index(opCall, m.refill)
	e.index(opGlobalSet, c.left)
	e.index(opGlobalGet, c.left)
	e.i64(0)
	e.op(opI64LtS, opIf, blockVoid, opUnreachable, opEnd, opEnd)
	c.refill = m.addFunc(m.addType(FuncType{}), code{body: e.b})
	return c
}

// charge takes a price off what is left.
func (e *emitter) charge(c gasCounter, s *scratch, cost int64) {
	e.index(opGlobalGet, c.left)
	e.i64(cost)
	e.op(opI64Sub)
	e.settle(c, s.local(I64, slotGas))
}

// settle stores what is left, which is on the stack, and asks for more when it
// is below zero.
func (e *emitter) settle(c gasCounter, left uint32) {
	e.index(opLocalTee, left)
	e.index(opGlobalSet, c.left)
	e.index(opLocalGet, left)
	e.i64(0)
	e.op(opI64LtS, opIf, blockVoid)
	e.index(opCall, c.refill)
	e.op(opEnd)
}

// Slots of scratch locals: passes that may need the same type at once use
// different ones.
const (
	slotValue = iota
	slotGas
	slotSecond
	slotThird
	slotStack
	// slotAddress is the first of those for 32-bit copies of locals, which lie
	// in the order of what they copy.
	slotAddress
)

// endsSegment says where wasm-metering starts a new segment.
func endsSegment(op uint32) bool {
	switch op {
	case opMemoryGrow, opEnd, opBr, opBrTable, opBrIf, opIf, opElse, opReturn, opLoop:
		return true
	}
	return false
}

// meterExact counts gas in every function.
func (m *Module) meterExact() {
	m.importRefill()
	bodies := len(m.Codes)
	gas := m.counter(GasExport, RefillGas)
	for i := range bodies {
		m.meterExactly(i, gas)
	}
}

func (m *Module) meterExactly(index int, gas gasCounter) {
	s := m.scratch(index)
	body := s.code.body
	out := emitter{b: make([]byte, 0, 2*len(body))}
	var cost int64
	start := 0
	for r := (&reader{b: body}); !r.done(); {
		op, _ := r.instruction()
		cost += price(op)
		if !endsSegment(op) {
			continue
		}
		if cost != 0 {
			out.charge(gas, s, cost+segmentOverhead)
		}
		out.b = append(out.b, body[start:r.at]...)
		start, cost = r.at, 0
	}
	s.code.body = out.b
}
