package vmtest

import "cmp"

// module is the outline of an ao module: handle calls the function in table 0 that
// the first letter of the message's string says, 'A' being the first, and answers
// with the same text whatever that did. What it did is in memory, in globals, and
// in the gas it took.
type module struct {
	types    [][]byte
	imports  [][]byte
	funcs    []moduleFunc
	tables   [][]byte // beside table 0
	globals  [][]byte // beside the stack pointer
	exports  [][]byte
	elements [][]byte // beside those of table 0
	datas    [][]byte // beside the answer
	start    int      // a function; 0: none, as function 0 is handle
	wide     bool     // 64-bit addresses
	memory   string   // the memory's exported name; "": memory
	pagesMin int
	pagesMax int
	commands []int       // the functions in table 0
	replaced map[int]int // by number of an export: another function in its place
}

type moduleFunc struct {
	signature int
	locals    []byte // one type each
	body      []byte
}

// What every module has, at the same places.
const (
	moduleAnswer = 1024
	moduleData   = 4096 // from here on memory is a function's own

	signatureCommand = 0 // () -> ()
	globalStack      = 0
)

// function adds a function with a signature and gives its index among the
// functions of the module, which follow the imports.
func (m *module) function(params, results, locals []byte, body ...[]byte) int {
	m.funcs = append(m.funcs, moduleFunc{m.signature(params, results), locals, join(body...)})
	return len(m.funcs) - 1 + moduleFuncs
}

// command adds a function that a message can call.
func (m *module) command(locals []byte, body ...[]byte) {
	m.commands = append(m.commands, m.function(nil, nil, locals, body...))
}

func (m *module) signature(params, results []byte) int {
	if len(m.types) == 0 {
		m.types = append(m.types, signature(nil, nil))
	}
	want := signature(params, results)
	for i, t := range m.types {
		if string(t) == string(want) {
			return i
		}
	}
	m.types = append(m.types, want)
	return len(m.types) - 1
}

// address is the type of a pointer.
func (m *module) address() byte {
	if m.wide {
		return typeI64
	}
	return typeI32
}

func (m *module) pointer(at int64) []byte {
	if m.wide {
		return i64(at)
	}
	return i32(at)
}

// moduleFuncs is how many functions come before the module's own.
const moduleFuncs = 4

// bytes assembles the module. Indices of functions in bodies count without the
// imports, which a module with imports has to add itself.
func (m *module) bytes() []byte {
	const aligned = -16
	at := m.address()
	handle := m.signature([]byte{at, at}, []byte{at})
	get, set, move := m.signature(nil, []byte{at}), m.signature([]byte{at}, nil), m.signature([]byte{at}, []byte{at})
	subtract, and := byte(0x6b), byte(0x71)
	if m.wide {
		subtract, and = 0x7d, 0x83
	}
	funcs := append([]moduleFunc{
		{handle, nil, join(local(0), load8(1), i32('A'), op(0x6b, 0x11, signatureCommand, 0), m.pointer(moduleAnswer))},
		{get, nil, global(globalStack)},
		{set, nil, join(local(0), setGlobal(globalStack))},
		{move, nil, join(global(globalStack), local(0), op(subtract), m.pointer(aligned), op(and), setGlobal(globalStack), global(globalStack))},
	}, m.funcs...)
	imports := len(m.imports)
	var declared, bodies, commands [][]byte
	for _, f := range funcs {
		declared = append(declared, uleb(f.signature))
		var locals [][]byte
		for _, t := range f.locals {
			locals = append(locals, []byte{1, t})
		}
		bodies = append(bodies, sized(join(vector(locals...), f.body, op(0x0b))))
	}
	for _, f := range m.commands {
		commands = append(commands, uleb(imports+f))
	}
	memory := byte(1)
	if m.wide {
		memory = 5
	}
	exports := [][]byte{exported(cmp.Or(m.memory, "memory"), 2, 0)}
	for i, name := range []string{"handle", "stackSave", "stackRestore", "stackAlloc"} {
		f, ok := m.replaced[i]
		if !ok {
			f = i
		}
		exports = append(exports, exported(name, 0, imports+f))
	}
	parts := [][]byte{
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, m.types...),
		section(2, m.imports...),
		section(3, declared...),
		section(4, append([][]byte{join(op(typeFuncRef, 0), uleb(len(commands)))}, m.tables...)...),
		section(5, join(op(memory), uleb(max(m.pagesMin, 1)), uleb(max(m.pagesMax, m.pagesMin, 1)))),
		section(6, append([][]byte{join(op(at, 1), m.pointer(0x1000), op(0x0b))}, m.globals...)...),
		section(7, append(exports, m.exports...)...),
	}
	if m.start > 0 {
		parts = append(parts, append([]byte{8}, sized(uleb(imports+m.start))...))
	}
	parts = append(parts,
		section(9, append([][]byte{join(op(0), i32(0), op(0x0b), vector(commands...))}, m.elements...)...),
		append([]byte{12}, sized(uleb(1+len(m.datas)))...),
		section(10, bodies...),
		section(11, append([][]byte{join(op(0), m.pointer(moduleAnswer), op(0x0b), sized([]byte(`{"ok":true,"response":"done"}`)))}, m.datas...)...),
	)
	return join(parts...)
}

// commandMessages are messages for each of a module's commands, twice: the second
// time round the state is another one.
func commandMessages(n int) [][]byte {
	var messages [][]byte
	for range 2 {
		for i := range n {
			messages = append(messages, []byte{'"', 'A' + byte(i), '"'})
		}
	}
	return messages
}
