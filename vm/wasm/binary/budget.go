package binary

// Bounds of the budget.
const (
	// budgetChargeMax bounds one charge. The body of an interpreter's main loop
	// holds every instruction it knows and runs a handful of them a turn.
	budgetChargeMax = 3_000
	// budgetFreeMax bounds what a function may cost with all that it calls and
	// still go free.
	budgetFreeMax = 20_000
	// budgetBulkShift turns the bytes that one instruction fills or copies into
	// gas: 16 bytes cost one.
	budgetBulkShift = 4
)

// budget stops whatever runs too long, at the same instruction everywhere, at
// next to no cost. It charges at the head of each loop and at the entry of
// those functions that can take part in a recursion or in a call tree of
// unbounded cost; all others go free, for between two charges they can run a
// bounded amount of code only. A charge is the price of the code that the loop
// or the function holds itself by ao's table, at most budgetChargeMax.
type budget struct {
	m        *Module
	imported uint32
	counter  gasCounter
	funcs    []budgetFunc
	// baked is set for modules that count gas themselves, by the import usegas.
	baked  bool
	usegas uint32
}

// budgetFunc is what is known of a function.
type budgetFunc struct {
	whole   int64   // the price of all its code
	entry   int64   // the charge for what lies in no loop
	loops   []int64 // the charge for each loop, in the order in which they begin
	bulk    bool    // it fills or copies memory
	calls   []int   // functions of the module that it calls
	charged bool
}

// meterBudget gives every function its charges.
func (m *Module) meterBudget() {
	m.importRefill()
	b := &budget{m: m, imported: m.countImports(KindFunc)}
	b.analyse()
	b.counter = m.counter(GasExport, RefillGas)
	for i := range b.funcs {
		b.rewrite(i)
	}
}

func (b *budget) analyse() {
	b.funcs = make([]budgetFunc, len(b.m.Codes))
	for i := range b.funcs {
		b.analyseFunc(i)
	}
	b.chooseCharged()
}

func (b *budget) analyseFunc(index int) {
	f := &b.funcs[index]
	prices := []int64{0}
	inside := []int{0} // for each open block, which price it adds to
	for r := (&reader{b: b.m.Codes[index].body}); !r.done(); {
		op, o := r.instruction()
		current := inside[len(inside)-1]
		switch op {
		case opLoop:
			f.charged = true
			prices = append(prices, 0)
			current = len(prices) - 1
			inside = append(inside, current)
		case opBlock, opIf:
			inside = append(inside, current)
		case opEnd:
			inside = inside[:max(1, len(inside)-1)]
		case opCallInd:
			f.charged = true
		case opMemoryCopy, opMemoryFill, opMemoryInit:
			f.charged, f.bulk = true, true
		case opCall:
			switch {
			case o.a >= uint64(b.imported):
				f.calls = append(f.calls, int(o.a)-int(b.imported))
			case !b.baked || o.a != uint64(b.usegas):
				f.charged = true
			}
		}
		prices[current] += price(op)
		f.whole += price(op)
	}
	for i, p := range prices {
		prices[i] = min(max(p, 1), budgetChargeMax)
	}
	f.entry, f.loops = prices[0], prices[1:]
}

// chooseCharged decides which functions go free: those whose own code and that
// of all the free functions they call is little. It goes from the leaves up;
// where only circles are left, it charges the first function of them.
func (b *budget) chooseCharged() {
	cost := make([]int64, len(b.funcs))
	waits := make([]int, len(b.funcs)) // for how many callees
	callers := make([][]int, len(b.funcs))
	var settled []int
	done := make([]bool, len(b.funcs))
	settle := func(i int) {
		if !done[i] {
			done[i] = true
			settled = append(settled, i)
		}
	}
	for i := range b.funcs {
		f := &b.funcs[i]
		cost[i] = f.whole
		if f.charged {
			settle(i)
			continue
		}
		waits[i] = len(f.calls)
		for _, callee := range f.calls {
			callers[callee] = append(callers[callee], i)
		}
		if waits[i] == 0 {
			settle(i)
		}
	}
	for next := 0; ; {
		for len(settled) > 0 {
			i := settled[len(settled)-1]
			settled = settled[:len(settled)-1]
			f := &b.funcs[i]
			f.charged = f.charged || cost[i] > budgetFreeMax
			for _, caller := range callers[i] {
				if !f.charged {
					cost[caller] += cost[i]
				}
				if waits[caller]--; waits[caller] == 0 {
					settle(caller)
				}
			}
		}
		for next < len(done) && done[next] {
			next++
		}
		if next == len(done) {
			return
		}
		b.funcs[next].charged = true
		settle(next)
	}
}

func (b *budget) rewrite(index int) {
	f := &b.funcs[index]
	if !f.charged {
		return
	}
	s := b.m.scratch(index)
	body := s.code.body
	out := emitter{b: make([]byte, 0, len(body)+len(body)/8)}
	out.charge(b.counter, s, f.entry)
	start, loop := 0, 0
	for r := (&reader{b: body}); (len(f.loops) > loop || f.bulk) && !r.done(); {
		at := r.at
		switch op, _ := r.instruction(); op {
		case opLoop:
			out.b = append(out.b, body[start:r.at]...)
			out.charge(b.counter, s, f.loops[loop])
			start = r.at
			loop++
		case opMemoryCopy, opMemoryFill, opMemoryInit:
			out.b = append(out.b, body[start:at]...)
			b.chargeBulk(&out, s, op)
			start = at
		}
	}
	out.b = append(out.b, body[start:]...)
	s.code.body = out.b
}

// chargeBulk charges by the length on the stack.
func (b *budget) chargeBulk(out *emitter, s *scratch, op uint32) {
	kind := I32
	if op != opMemoryInit && b.m.isMemory64() {
		kind = I64
	}
	length := s.local(kind, slotValue)
	out.index(opLocalSet, length)
	out.index(opGlobalGet, b.counter.left)
	out.index(opLocalGet, length)
	if kind == I32 {
		out.op(opI64ExtendU)
	}
	out.i64(budgetBulkShift)
	out.op(opI64ShrU, opI64Sub)
	out.settle(b.counter, s.local(I64, slotGas))
	out.index(opLocalGet, length)
}
