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

// GasExport is the exported i64 global that holds the gas left. The host sets
// it before a call; below zero after a trap means out of gas.
const GasExport = "__wallaby_gas"

// FloorExport is the exported i64 global below which gas must not fall: 0. A
// guest reads it wherever it pays and never writes it, so a host that stores
// math.MaxInt64 there from another thread surely stops the guest, which taking
// its gas would not: the guest would store what it had.
const FloorExport = "__wallaby_gas_floor"

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

// floorGlobal gives the global with the floor, adding it on first use.
func (m *Module) floorGlobal() uint32 {
	if !m.hasFloor {
		m.hasFloor = true
		m.floor = m.addGlobal(I64, []byte{opI64Const, 0}, FloorExport)
		m.transient[m.floor] = true
	}
	return m.floor
}

// gasGlobal adds a counter under the exported name, or under none. It is no part
// of a process's state, since a host sets it before each call.
func (m *Module) gasGlobal(export string) uint32 {
	e := emitter{}
	e.i64(1<<63 - 1)
	index := m.addGlobal(I64, e.b, export)
	m.transient[index] = true
	return index
}

// charge takes a price off the gas left and traps below the floor.
func (e *emitter) charge(gas, floor uint32, s *scratch, cost int64) {
	left := s.local(I64, slotGas)
	e.index(opGlobalGet, gas)
	e.i64(cost)
	e.op(opI64Sub)
	e.trapBelowFloor(gas, left, floor)
}

func (e *emitter) trapBelowFloor(gas, left, floor uint32) {
	e.index(opLocalTee, left)
	e.index(opGlobalSet, gas)
	e.index(opLocalGet, left)
	e.index(opGlobalGet, floor)
	e.op(opI64LtS, opIf, blockVoid, opUnreachable, opEnd)
}

// Slots of scratch locals: passes that may need the same type at once use
// different ones.
const (
	slotValue = iota
	slotGas
	slotSecond
	slotThird
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
	gas, floor := m.gasGlobal(GasExport), m.floorGlobal()
	for i := range m.Codes {
		m.meterExactly(i, gas, floor)
	}
}

func (m *Module) meterExactly(index int, gas, floor uint32) {
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
			out.charge(gas, floor, s, cost+segmentOverhead)
		}
		out.b = append(out.b, body[start:r.at]...)
		start, cost = r.at, 0
	}
	s.code.body = out.b
}
