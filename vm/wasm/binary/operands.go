package binary

// operandsMax bounds how many values a function's code has on its operand stack
// at once, from above. Code after a jump that is never reached counts for
// nothing.
func (m *Module) operandsMax(body []byte) int {
	t := operandTracker{m: m, blocks: []operandBlock{{}}}
	for r := (&reader{b: body}); !r.done(); {
		t.step(r.instruction())
	}
	return t.most
}

// operandTracker follows the height of the operand stack.
type operandTracker struct {
	m            *Module
	height, most int
	blocks       []operandBlock
}

// operandBlock is an open block: the height without its parameters, and how many
// parameters and results it has.
type operandBlock struct{ base, params, results int }

func (t *operandTracker) step(op uint32, o operands) {
	switch op {
	case opBlock, opLoop, opIf:
		if op == opIf {
			t.height--
		}
		params, results := t.m.blockType(o.s)
		t.blocks = append(t.blocks, operandBlock{t.height - params, params, results})
	case opElse:
		block := t.blocks[len(t.blocks)-1]
		t.height = block.base + block.params
	case opEnd:
		block := t.blocks[len(t.blocks)-1]
		t.blocks = t.blocks[:len(t.blocks)-1]
		t.height = block.base + block.results
	case opUnreachable, opBr, opBrTable, opReturn:
		t.height = t.blocks[len(t.blocks)-1].base
	case opCall, opCallInd:
		signature := FuncType{}
		if op == opCall {
			signature = t.m.signature(uint32(o.a))
		} else {
			signature = t.m.Types[o.a]
			t.height--
		}
		t.height += len(signature.Results) - len(signature.Params)
	default:
		t.height += operandEffect(op)
	}
	t.height = max(t.height, 0)
	t.most = max(t.most, t.height)
}

// blockType gives the number of parameters and results of a block.
func (m *Module) blockType(s int64) (params, results int) {
	switch {
	case s >= 0:
		return len(m.Types[s].Params), len(m.Types[s].Results)
	case byte(s&0x7f) == blockVoid:
		return 0, 0
	}
	return 0, 1
}

// operandEffect says how many values an instruction other than control leaves
// more than it takes. Of vector instructions it counts only what adds one.
func operandEffect(op uint32) int {
	switch {
	case op == opLocalGet, op == opGlobalGet, op == opMemorySize, op >= opI32Const && op <= opF64Const, op == 0xd0, op == opRefFunc,
		op == prefixMisc<<16|16, op == prefixSIMD<<16|12:
		return 1
	case op == opBrIf, op == opLocalSet, op == opGlobalSet, op == 0x1a, op == prefixMisc<<16|15:
		return -1
	case op == opSelect, op == 0x1c, op == 0x26, op >= 0x36 && op <= 0x3e:
		return -2
	case op >= prefixMisc<<16|8 && op <= prefixMisc<<16|17 && op != prefixMisc<<16|9 && op != prefixMisc<<16|13:
		return -3
	case op >= 0x46 && op <= 0x4f, op >= 0x51 && op <= 0x66, // comparisons
		op >= 0x6a && op <= 0x78, op >= 0x7c && op <= 0x8a, // integers
		op >= 0x92 && op <= 0x98, op >= 0xa0 && op <= 0xa6: // floats
		return -1
	}
	return 0
}
