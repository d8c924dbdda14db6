package binary

// Metering says how a module's gas is counted.
type Metering int

const (
	// MeteringNone counts nothing: an endless loop never stops.
	MeteringNone Metering = iota
	// MeteringExact charges ao's own table, segment by segment, as
	// @permaweb/wasm-metering does, so that gas numbers equal its numbers.
	MeteringExact
	// MeteringBudget charges less often, for formats whose gas nobody reports:
	// at the head of each loop and at the entry of each function that calls or
	// loops, the price of the code inside by ao's table, at most budgetMax. It
	// stops whatever runs too long, at the same instruction everywhere, and
	// costs a few percent.
	MeteringBudget
)

// GasExport is the exported i64 global that holds the gas left. The host sets
// it before a call; below zero after a trap means out of gas.
const GasExport = "__wallaby_gas"

// budgetMax bounds one charge. The body of an interpreter's main loop holds
// every instruction it knows and runs a handful of them a turn.
const budgetMax = 10_000

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

// meter counts gas in every function.
func (m *Module) meter(mode Metering) {
	gas := m.gasGlobal()
	for i := range m.Codes {
		if mode == MeteringExact {
			m.meterExact(i, gas)
		} else {
			m.meterBudget(i, gas)
		}
	}
}

func (m *Module) gasGlobal() uint32 {
	e := emitter{}
	e.i64(1<<63 - 1)
	return m.addGlobal(I64, e.b, GasExport)
}

// charge takes a price off the gas left and traps below zero.
func (e *emitter) charge(gas uint32, s *scratch, cost int64) {
	left := s.local(I64, slotGas)
	e.index(opGlobalGet, gas)
	e.i64(cost)
	e.op(opI64Sub)
	e.trapBelowZero(gas, left)
}

func (e *emitter) trapBelowZero(gas, left uint32) {
	e.index(opLocalTee, left)
	e.index(opGlobalSet, gas)
	e.index(opLocalGet, left)
	e.i64(0)
	e.op(opI64LtS, opIf, blockVoid, opUnreachable, opEnd)
}

// Slots of scratch locals: passes that may need the same type at once use
// different ones.
const (
	slotValue = iota
	slotGas
	slotSecond
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

func (m *Module) meterExact(index int, gas uint32) {
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

// meterBudget charges at the entry and at loop heads. A function that neither
// calls nor loops ends by itself and is left alone.
func (m *Module) meterBudget(index int, gas uint32) {
	s := m.scratch(index)
	body := s.code.body
	prices, endless := budgetPrices(body)
	if !endless {
		return
	}
	out := emitter{b: make([]byte, 0, len(body)+len(body)/8)}
	out.charge(gas, s, prices[0])
	start, loop := 0, 1
	for r := (&reader{b: body}); !r.done(); {
		op, _ := r.instruction()
		if op != opLoop {
			continue
		}
		out.b = append(out.b, body[start:r.at]...)
		out.charge(gas, s, prices[loop])
		start = r.at
		loop++
	}
	out.b = append(out.b, body[start:]...)
	s.code.body = out.b
}

// budgetPrices gives the price of what lies in the function but in no loop, and
// then of each loop's own body, in the order in which loops begin.
func budgetPrices(body []byte) (prices []int64, endless bool) {
	prices = []int64{0}
	inside := []int{0} // for each open block, which price it adds to
	for r := (&reader{b: body}); !r.done(); {
		op, _ := r.instruction()
		current := inside[len(inside)-1]
		switch op {
		case opLoop:
			endless = true
			prices = append(prices, 0)
			current = len(prices) - 1
			inside = append(inside, current)
		case opBlock, opIf, 0x06:
			inside = append(inside, current)
		case opEnd:
			if len(inside) > 1 {
				inside = inside[:len(inside)-1]
			}
		case opCall, opCallInd:
			endless = true
		}
		prices[current] += price(op)
	}
	for i, p := range prices {
		prices[i] = min(max(p, 1), budgetMax)
	}
	return prices, endless
}

// internalizeGas makes a module that was metered when it was built count in our
// global instead of calling its host millions of times.
func (m *Module) internalizeGas() bool {
	target, ok := m.importedFunc("usegas")
	if !ok {
		return false
	}
	gas := m.gasGlobal()
	for i := range m.Codes {
		var s *scratch
		body := m.Codes[i].body
		out := emitter{}
		start := 0
		for r := (&reader{b: body}); !r.done(); {
			at := r.at
			op, o := r.instruction()
			if op != opCall || o.a != uint64(target) {
				continue
			}
			if s == nil {
				s = m.scratch(i)
			}
			out.b = append(out.b, body[start:at]...)
			cost, left := s.local(I64, slotValue), s.local(I64, slotGas)
			out.op(opI64ExtendU)
			out.index(opLocalSet, cost)
			out.index(opGlobalGet, gas)
			out.index(opLocalGet, cost)
			out.op(opI64Sub)
			out.trapBelowZero(gas, left)
			start = r.at
		}
		if start > 0 {
			m.Codes[i].body = append(out.b, body[start:]...)
		}
	}
	return true
}
