package binary

import "strings"

// internalizeLongjmp replaces the host's part in emscripten's setjmp and
// longjmp. In JavaScript, longjmp throws through the host and invoke_* catches;
// here longjmp sets a flag and returns, every call that may have thrown is
// followed by a test of the flag that returns at once, and invoke_* is a
// function of the module that clears it. No engine needs exceptions, traps or
// calls back from the host for it.
//
// A longjmp that nobody catches ends the host's call with a trap.
func (m *Module) internalizeLongjmp() error {
	throw, throws := m.importedFunc("env", "_emscripten_throw_longjmp")
	invokes := m.invokeImports()
	if !throws && len(invokes) == 0 {
		return nil
	}
	j := &longjmp{module: m, imported: m.countImports(KindFunc), original: uint32(len(m.Codes)), catches: throws}
	if throws {
		var ok [3]bool
		j.save, ok[0] = m.exported("stackSave", "emscripten_stack_get_current")
		j.restore, ok[1] = m.exported("stackRestore", "_emscripten_stack_restore")
		j.setThrew, ok[2] = m.exported("setThrew")
		if ok != [3]bool{true, true, true} || !j.signaturesFit() {
			return &UnsupportedError{"longjmp without the exports stackSave, stackRestore and setThrew"}
		}
		j.flag = m.addGlobal(I32, []byte{opI32Const, 0}, "")
	}
	internal := map[uint32]uint32{}
	for _, im := range invokes {
		t := m.signature(im.index)
		if len(t.Params) == 0 || t.Params[0] != I32 && t.Params[0] != I64 {
			return &UnsupportedError{"an invoke_ import without a function to call"}
		}
		internal[im.index] = m.addFunc(m.addType(t), j.invokeCode(t, im.name))
	}
	if throws {
		t := m.signature(throw)
		e := emitter{}
		e.i32(1)
		e.index(opGlobalSet, j.flag)
		e.zeros(t.Results)
		e.op(opEnd)
		j.throw = m.addFunc(m.addType(t), code{body: e.b})
		internal[throw] = j.throw
	}
	m.redirect(internal, int(j.original))
	if !throws {
		return nil
	}
	j.findThrowers()
	for i := range j.original {
		if err := j.rewrite(int(i)); err != nil {
			return err
		}
	}
	m.wrapExports(j.mayThrowFrom, func(*emitter) {}, func(e *emitter) {
		e.index(opGlobalGet, j.flag)
		e.op(opIf, blockVoid)
		e.i32(0)
		e.index(opGlobalSet, j.flag)
		e.op(opUnreachable, opEnd)
	})
	return nil
}

type longjmp struct {
	module                         *Module
	imported                       uint32
	original                       uint32 // how many bodies there were before this pass
	catches                        bool
	throw, save, restore, setThrew uint32
	flag                           uint32
	mayThrow                       []bool
}

type invokeImport struct {
	index uint32
	name  string
}

// invokeImports lists the imported functions called invoke_*.
func (m *Module) invokeImports() []invokeImport {
	var list []invokeImport
	index := uint32(0)
	for _, im := range m.Imports {
		if im.Kind != KindFunc {
			continue
		}
		if im.Module == "env" && strings.HasPrefix(im.Name, "invoke_") {
			list = append(list, invokeImport{index, im.Name})
		}
		index++
	}
	return list
}

// signaturesFit says whether the exports that this pass calls are what
// emscripten makes them.
func (j *longjmp) signaturesFit() bool {
	m := j.module
	save, restore, threw := m.signature(j.save), m.signature(j.restore), m.signature(j.setThrew)
	return len(save.Params) == 0 && len(save.Results) == 1 &&
		string(restore.Params) == string(save.Results) && len(restore.Results) == 0 &&
		len(threw.Params) == 2 && threw.Params[1] == I32 && len(threw.Results) == 0
}

// invokeCode calls the function in the table and catches what it throws. It
// goes through the module's dynCall_* where there is one, as the JavaScript glue
// does, because that is metered code.
func (j *longjmp) invokeCode(t FuncType, name string) code {
	saved := uint32(len(t.Params))
	e := emitter{}
	if j.catches {
		e.index(opCall, j.save)
		e.index(opLocalSet, saved)
	}
	j.call(&e, t, name)
	if !j.catches {
		e.op(opEnd)
		return code{body: e.b}
	}
	e.index(opGlobalGet, j.flag)
	e.op(opIf, blockVoid)
	e.i32(0)
	e.index(opGlobalSet, j.flag)
	e.index(opLocalGet, saved)
	e.index(opCall, j.restore)
	if j.module.signature(j.setThrew).Params[0] == I64 {
		e.i64(1)
	} else {
		e.i32(1)
	}
	e.i32(0)
	e.index(opCall, j.setThrew)
	e.op(opEnd, opEnd)
	pointer := j.module.signature(j.restore).Params[0]
	return code{locals: []local{{1, pointer}}, body: e.b}
}

func (j *longjmp) call(e *emitter, t FuncType, name string) {
	m := j.module
	wrapIndex := func(want byte) {
		// A table has 32-bit indices even where pointers have 64.
		if t.Params[0] == I64 && want == I32 {
			e.op(opI32WrapI64)
		}
	}
	dynCall, ok := m.exported("dynCall_" + strings.TrimPrefix(name, "invoke_"))
	if ok {
		callee := m.signature(dynCall)
		ok = len(callee.Params) == len(t.Params) && string(callee.Params[1:]) == string(t.Params[1:]) &&
			string(callee.Results) == string(t.Results) && (callee.Params[0] == I32 || callee.Params[0] == t.Params[0])
		if ok {
			e.index(opLocalGet, 0)
			wrapIndex(callee.Params[0])
			for i := 1; i < len(t.Params); i++ {
				e.index(opLocalGet, uint32(i))
			}
			e.index(opCall, dynCall)
			return
		}
	}
	for i := 1; i < len(t.Params); i++ {
		e.index(opLocalGet, uint32(i))
	}
	e.index(opLocalGet, 0)
	wrapIndex(I32)
	e.callIndirect(m.addType(FuncType{Params: t.Params[1:], Results: t.Results}))
}

// findThrowers marks the functions through which a longjmp may pass: those that
// throw or call through a table, and whoever calls them.
func (j *longjmp) findThrowers() {
	j.mayThrow = make([]bool, j.original)
	callers := make([][]uint32, j.original)
	var work []uint32
	for i := range j.original {
		for r := (&reader{b: j.module.Codes[i].body}); !r.done(); {
			op, o := r.instruction()
			switch {
			case op == opCallInd, op == opCall && o.a == uint64(j.throw):
				if !j.mayThrow[i] {
					j.mayThrow[i] = true
					work = append(work, i)
				}
			case op == opCall && o.a >= uint64(j.imported) && o.a < uint64(j.imported+j.original):
				callee := uint32(o.a) - j.imported
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

// mayThrowFrom says whether a call of the function may come back with the flag
// set.
func (j *longjmp) mayThrowFrom(index uint32) bool {
	return index == j.throw ||
		index >= j.imported && index-j.imported < j.original && j.mayThrow[index-j.imported]
}

// longjmpResultsMax bounds the zeros after each call; no compiler makes
// functions of more than one result.
const longjmpResultsMax = 4

func (j *longjmp) rewrite(index int) error {
	if !j.mayThrow[index] {
		return nil
	}
	c := &j.module.Codes[index]
	results := j.module.Types[j.module.Funcs[index]].Results
	if len(results) > longjmpResultsMax {
		return &UnsupportedError{"longjmp through a function of many results"}
	}
	out := emitter{b: make([]byte, 0, len(c.body)+len(c.body)/4)}
	for r := (&reader{b: c.body}); !r.done(); {
		at := r.at
		op, o := r.instruction()
		out.b = append(out.b, c.body[at:r.at]...)
		if op == opCallInd || op == opCall && j.mayThrowFrom(uint32(o.a)) {
			out.index(opGlobalGet, j.flag)
			out.op(opIf, blockVoid)
			out.zeros(results)
			out.op(opReturn, opEnd)
		}
	}
	c.body = out.b
	return nil
}
