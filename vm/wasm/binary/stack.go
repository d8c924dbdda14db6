package binary

import (
	"math"
	"slices"
)

// StackExport is the exported i32 global with the bytes of call stack left. The
// host sets it before a call; below zero after a trap means that the guest's
// calls were nested too deeply. It is no part of a process's state.
const StackExport = "__wallaby_stack"

// StackBytes is how much call stack a guest gets, as bytes of frames by our own
// reckoning: an engine whose real stack has some times as much room never comes
// to its end.
const StackBytes = 4 << 20

// CallsMax is more than all the calls that fit into a guest's call stack, for
// engines that count them.
const CallsMax = (StackBytes + stackFreeMax) / frameBytes

const (
	// frameBytes is the price of a frame with nothing in it, and valueBytes that
	// of each local and operand.
	frameBytes = 192
	valueBytes = 8
	// stackFreeMax bounds the frames of calls that nobody counts.
	stackFreeMax = 32 << 10
)

// stackMeter counts the call stack, so that a recursion without end stops at the
// same call on every engine, however large its frames are there. It counts in
// one function of each circle of calls, for the whole longest way to the next
// function that counts; all others cost nothing.
type stackMeter struct {
	m        *Module
	imported uint32
	calls    [][]uint32 // by function, functions of the module
	frames   []int64
	counts   []bool
	// ways holds the largest sum of frames from a function on, itself included,
	// until functions that count; 0 is not known yet.
	ways []int64
	// visits, lows, nexts and held belong to the search for circles.
	visits, lows, nexts []int
	held                []bool
}

// meterStack rewrites the functions that count. The host's own calls count from
// the function it calls.
func (m *Module) meterStack() {
	s := &stackMeter{m: m, imported: m.countImports(KindFunc)}
	s.findCalls()
	s.breakCircles()
	for _, f := range s.order() {
		s.measure(f)
	}
	e := emitter{}
	e.i32(math.MaxInt32)
	left := m.addGlobal(I32, e.b, StackExport)
	m.transient[left] = true
	for f, counts := range s.counts {
		if counts {
			s.rewrite(f, left, int32(min(s.ways[f], math.MaxInt32)))
		}
	}
}

// findCalls notes who calls whom. An indirect call may reach any function of its
// type that is in a table or whose reference is taken.
func (s *stackMeter) findCalls() {
	n := len(s.m.Codes)
	s.calls, s.frames = make([][]uint32, n), make([]int64, n)
	s.counts, s.ways = make([]bool, n), make([]int64, n)
	byType := s.indirect()
	for f := range s.m.Codes {
		seen := map[uint32]bool{}
		add := func(callee uint32) {
			if callee >= s.imported && !seen[callee] {
				seen[callee] = true
				s.calls[f] = append(s.calls[f], callee-s.imported)
			}
		}
		body := s.m.Codes[f].body
		for r := (&reader{b: body}); !r.done(); {
			switch op, o := r.instruction(); op {
			case opCall:
				add(uint32(o.a))
			case opCallInd:
				for _, callee := range byType[s.m.canonicalType(uint32(o.a))] {
					add(callee)
				}
			}
		}
		values := len(s.m.Types[s.m.Funcs[f]].Params) + s.m.operandsMax(body)
		for _, l := range s.m.Codes[f].locals {
			values += int(l.count)
			if l.kind == V128 {
				values += int(l.count)
			}
		}
		s.frames[f] = frameBytes + valueBytes*int64(values)
	}
}

// indirect lists the functions that an indirect call of a type may reach.
func (s *stackMeter) indirect() map[uint32][]uint32 {
	taken := map[uint32]bool{}
	note := func(code []byte) {
		for r := (&reader{b: code}); !r.done(); {
			if op, o := r.instruction(); op == opRefFunc {
				taken[uint32(o.a)] = true
			}
		}
	}
	for _, e := range s.m.elements {
		for _, f := range e.funcs {
			taken[f] = true
		}
		for _, expr := range e.exprs {
			note(expr)
		}
	}
	for _, g := range s.m.Globals {
		note(g.init)
	}
	for _, c := range s.m.Codes {
		note(c.body)
	}
	byType := map[uint32][]uint32{}
	for f := s.imported; f < s.imported+uint32(len(s.m.Funcs)); f++ {
		if taken[f] {
			t := s.m.canonicalType(s.m.Funcs[f-s.imported])
			byType[t] = append(byType[t], f)
		}
	}
	return byType
}

// canonicalType gives the first of the types that are equal to one.
func (m *Module) canonicalType(index uint32) uint32 {
	for i := range index {
		if m.Types[i].equal(m.Types[index]) {
			return i
		}
	}
	return index
}

// breakCircles makes functions count until every circle of calls has one: of
// functions that are in circles together it chooses one, and looks again at what
// is left of them.
func (s *stackMeter) breakCircles() {
	all := make([]uint32, len(s.calls))
	for f := range all {
		all[f] = uint32(f)
	}
	pending := [][]uint32{all}
	for work := 0; len(pending) > 0; {
		group := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		for _, circle := range s.circles(group) {
			if work > circleWorkMax {
				// A module made to take long gets worse code.
				for _, f := range circle {
					s.counts[f] = true
				}
				continue
			}
			chosen := s.choose(circle)
			for _, f := range circle {
				work += 1 + len(s.calls[f])
			}
			s.counts[chosen] = true
			pending = append(pending, circle)
		}
	}
}

// choose prefers functions that are in many of the circles, which makes for few
// that count, and with much code, which are not entered often for the work that
// they do.
func (s *stackMeter) choose(circle []uint32) (best uint32) {
	inside := map[uint32]bool{}
	for _, f := range circle {
		inside[f] = true
	}
	in, out := map[uint32]int{}, map[uint32]int{}
	for _, f := range circle {
		for _, callee := range s.calls[f] {
			if inside[callee] {
				in[callee]++
				out[f]++
			}
		}
	}
	most := -1
	for _, f := range circle {
		if value := in[f] * out[f] * len(s.m.Codes[f].body); value > most {
			best, most = f, value
		}
	}
	return best
}

// circleWorkMax bounds the search for circles, in functions and calls looked at.
const circleWorkMax = 20_000_000

// circles gives the sets of functions of a group that call each other in
// circles without those that count: its strongly connected components, by
// Tarjan's algorithm without recursion.
func (s *stackMeter) circles(group []uint32) (found [][]uint32) {
	const outside = -1
	if s.visits == nil {
		s.visits, s.lows, s.nexts = make([]int, len(s.calls)), make([]int, len(s.calls)), make([]int, len(s.calls))
		s.held = make([]bool, len(s.calls))
		for f := range s.visits {
			s.visits[f] = outside
		}
	}
	for _, f := range group {
		s.visits[f], s.nexts[f] = 0, 0
	}
	defer func() {
		for _, f := range group {
			s.visits[f] = outside
		}
	}()
	var path, open []uint32
	visited := 0
	enter := func(f uint32) {
		visited++
		s.visits[f], s.lows[f], s.held[f] = visited, visited, true
		path, open = append(path, f), append(open, f)
	}
	for _, root := range group {
		if s.visits[root] != 0 || s.counts[root] {
			continue
		}
		enter(root)
		for len(path) > 0 {
			f := path[len(path)-1]
			if s.nexts[f] < len(s.calls[f]) {
				callee := s.calls[f][s.nexts[f]]
				s.nexts[f]++
				switch {
				case s.counts[callee] || s.visits[callee] == outside:
				case s.visits[callee] == 0:
					enter(callee)
				case s.held[callee]:
					s.lows[f] = min(s.lows[f], s.visits[callee])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				caller := path[len(path)-1]
				s.lows[caller] = min(s.lows[caller], s.lows[f])
			}
			if s.lows[f] != s.visits[f] {
				continue
			}
			at := len(open) - 1
			for open[at] != f {
				at--
			}
			component := slices.Clone(open[at:])
			open = open[:at]
			for _, member := range component {
				s.held[member] = false
			}
			if len(component) > 1 || slices.Contains(s.calls[f], f) {
				found = append(found, component)
			}
		}
	}
	return found
}

// order gives all functions so that callees come before their callers. Calls of
// functions that count do not matter for it.
func (s *stackMeter) order() []uint32 {
	seen, next := make([]bool, len(s.calls)), make([]int, len(s.calls))
	order := make([]uint32, 0, len(s.calls))
	for root := range s.calls {
		if seen[root] {
			continue
		}
		seen[root] = true
		for path := []uint32{uint32(root)}; len(path) > 0; {
			f := path[len(path)-1]
			if next[f] == len(s.calls[f]) {
				order = append(order, f)
				path = path[:len(path)-1]
				continue
			}
			callee := s.calls[f][next[f]]
			next[f]++
			if !seen[callee] && !s.counts[callee] {
				seen[callee] = true
				path = append(path, callee)
			}
		}
	}
	return order
}

// measure sums up the longest way from a function whose callees are measured.
func (s *stackMeter) measure(f uint32) {
	var deepest int64
	for _, callee := range s.calls[f] {
		if !s.counts[callee] {
			deepest = max(deepest, s.ways[callee])
		}
	}
	s.ways[f] = s.frames[f] + deepest
	if s.ways[f] > stackFreeMax {
		s.counts[f] = true
	}
}

// rewrite puts the body into a block, whose end every way out passes.
func (s *stackMeter) rewrite(f int, left uint32, cost int32) {
	code := s.m.scratch(f)
	now := code.local(I32, slotStack)
	body := code.code.body
	out := emitter{b: make([]byte, 0, len(body)+48)}
	out.index(opGlobalGet, left)
	out.i32(cost)
	out.op(opI32Sub)
	out.index(opLocalTee, now)
	out.index(opGlobalSet, left)
	out.index(opLocalGet, now)
	out.i32(0)
	out.op(opI32LtS, opIf, blockVoid, opUnreachable, opEnd)
	out.block(s.m, s.m.Types[s.m.Funcs[f]].Results)
	start, open := 0, uint32(0)
	for r := (&reader{b: body}); !r.done(); {
		at := r.at
		switch op, _ := r.instruction(); op {
		case opBlock, opLoop, opIf:
			open++
		case opEnd:
			open--
		case opReturn:
			out.b = append(out.b, body[start:at]...)
			out.index(opBr, open)
			start = r.at
		}
	}
	out.b = append(out.b, body[start:]...)
	out.index(opLocalGet, now)
	out.i32(cost)
	out.op(opI32Add)
	out.index(opGlobalSet, left)
	out.op(opEnd)
	code.code.body = out.b
}

// block begins a block without parameters.
func (e *emitter) block(m *Module, results []byte) {
	e.op(opBlock)
	switch len(results) {
	case 0:
		e.op(blockVoid)
	case 1:
		e.op(results[0])
	default:
		e.b = appendS(e.b, int64(m.addType(FuncType{Results: results})))
	}
}
