package binary

import "strings"

// internalizeLongjmp replaces the host's part in emscripten's setjmp and
// longjmp. In JavaScript, longjmp throws through the host and invoke_* catches;
// here longjmp sets a flag and returns, every call that may have thrown is
// followed by a test of the flag that returns at once, and invoke_* is a
// function of the module that clears it. No engine needs exceptions, traps or
// calls back from the host for it.
func (m *Module) internalizeLongjmp() error {
	throw, throws := m.importedFunc("_emscripten_throw_longjmp")
	if !throws {
		return nil
	}
	j := &longjmp{module: m, throw: throw, imported: m.countImports(KindFunc), invokes: map[uint32]uint32{}}
	var ok [3]bool
	j.save, ok[0] = m.exported("stackSave", "emscripten_stack_get_current")
	j.restore, ok[1] = m.exported("stackRestore", "_emscripten_stack_restore")
	j.setThrew, ok[2] = m.exported("setThrew")
	if ok != [3]bool{true, true, true} {
		return &UnsupportedError{"longjmp without the exports stackSave, stackRestore and setThrew"}
	}
	original := len(m.Codes)
	j.flag = m.addGlobal(I32, []byte{opI32Const, 0}, "")
	if err := j.addInvokes(); err != nil {
		return err
	}
	j.findThrowers(original)
	for i := range original {
		j.rewrite(i)
	}
	return nil
}

type longjmp struct {
	module                         *Module
	throw, save, restore, setThrew uint32
	imported                       uint32
	flag                           uint32
	invokes                        map[uint32]uint32 // import → our function
	mayThrow                       []bool
}

// addInvokes makes a function for each invoke_* import. The call itself goes
// through the module's dynCall_* where there is one, as in the JavaScript glue,
// because that is metered code.
func (j *longjmp) addInvokes() error {
	m := j.module
	index := uint32(0)
	for _, im := range m.Imports {
		if im.Kind != KindFunc {
			continue
		}
		if suffix, ok := strings.CutPrefix(im.Name, "invoke_"); ok {
			t := m.Types[im.Type]
			if len(t.Params) == 0 {
				return &UnsupportedError{"import " + im.Name + " without a function to call"}
			}
			j.invokes[index] = m.addFunc(im.Type, j.invokeCode(t, suffix))
		}
		index++
	}
	return nil
}

func (j *longjmp) invokeCode(t FuncType, suffix string) code {
	m := j.module
	stack, _ := m.signature(j.restore)
	saved := uint32(len(t.Params))
	e := emitter{}
	e.index(opCall, j.save)
	e.index(opLocalSet, saved)
	if dynCall, ok := m.exported("dynCall_" + suffix); ok {
		callee, _ := m.signature(dynCall)
		for i := range t.Params {
			e.index(opLocalGet, uint32(i))
			// A table has 32-bit indices even where pointers have 64.
			if t.Params[i] == I64 && i < len(callee.Params) && callee.Params[i] == I32 {
				e.op(opI32WrapI64)
			}
		}
		e.index(opCall, dynCall)
	} else {
		for i := 1; i < len(t.Params); i++ {
			e.index(opLocalGet, uint32(i))
		}
		e.index(opLocalGet, 0)
		if t.Params[0] == I64 {
			e.op(opI32WrapI64)
		}
		e.callIndirect(m.addType(FuncType{Params: t.Params[1:], Results: t.Results}))
	}
	e.index(opGlobalGet, j.flag)
	e.op(opIf, blockVoid)
	e.i32(0)
	e.index(opGlobalSet, j.flag)
	e.index(opLocalGet, saved)
	e.index(opCall, j.restore)
	if threw, _ := m.signature(j.setThrew); len(threw.Params) > 0 && threw.Params[0] == I64 {
		e.i64(1)
	} else {
		e.i32(1)
	}
	e.i32(0)
	e.index(opCall, j.setThrew)
	e.op(opEnd, opEnd)
	pointer := I32
	if len(stack.Params) > 0 {
		pointer = stack.Params[0]
	}
	return code{locals: []local{{1, pointer}}, body: e.b}
}

// findThrowers marks the functions through which a longjmp may pass: those that
// throw or call through a table, and whoever calls them.
func (j *longjmp) findThrowers(count int) {
	j.mayThrow = make([]bool, count)
	callers := make([][]int, count)
	var work []int
	for i := range count {
		for r := (&reader{b: j.module.Codes[i].body}); !r.done(); {
			op, o := r.instruction()
			switch {
			case op == opCallInd, op == opCall && o.a == uint64(j.throw):
				if !j.mayThrow[i] {
					j.mayThrow[i] = true
					work = append(work, i)
				}
			case op == opCall && o.a >= uint64(j.imported) && o.a-uint64(j.imported) < uint64(count):
				callee := o.a - uint64(j.imported)
				callers[callee] = append(callers[callee], i)
			}
		}
	}
	for len(work) > 0 {
		last := work[len(work)-1]
		work = work[:len(work)-1]
		for _, caller := range callers[last] {
			if !j.mayThrow[caller] {
				j.mayThrow[caller] = true
				work = append(work, caller)
			}
		}
	}
}

func (j *longjmp) rewrite(index int) {
	c := &j.module.Codes[index]
	results := j.module.Types[j.module.Funcs[index]].Results
	out := emitter{b: make([]byte, 0, len(c.body)+len(c.body)/4)}
	for r := (&reader{b: c.body}); !r.done(); {
		at := r.at
		op, o := r.instruction()
		if op == opCall && o.a == uint64(j.throw) {
			out.i32(1)
			out.index(opGlobalSet, j.flag)
			out.zeros(results)
			out.op(opReturn)
			continue
		}
		if invoke, ok := j.invokes[uint32(o.a)]; ok && op == opCall {
			out.index(opCall, invoke)
			continue
		}
		out.b = append(out.b, c.body[at:r.at]...)
		if j.needsTest(op, o) {
			out.index(opGlobalGet, j.flag)
			out.op(opIf, blockVoid)
			out.zeros(results)
			out.op(opReturn, opEnd)
		}
	}
	c.body = out.b
}

func (j *longjmp) needsTest(op uint32, o operands) bool {
	if op == opCallInd {
		return true
	}
	return op == opCall && o.a >= uint64(j.imported) && o.a-uint64(j.imported) < uint64(len(j.mayThrow)) && j.mayThrow[o.a-uint64(j.imported)]
}
