package binary

import (
	"fmt"
	"strings"
)

// reservedPrefix begins every name that the passes export.
const reservedPrefix = "__wallaby_"

// checker makes sure of what the passes rely on. An index that is too large in
// the published module must not come to mean something that a pass adds, least
// of all the gas that is left.
type checker struct {
	m              *Module
	funcs, globals uint32
	simd           bool
}

// check looks at every index and every instruction, and refuses what cannot be
// deterministic or what no engine gets.
func (m *Module) check() (c *checker, err error) {
	defer caught(&err)
	c = &checker{m: m, funcs: m.countImports(KindFunc) + uint32(len(m.Funcs)), globals: uint32(len(m.Globals))}
	c.imports()
	c.memory()
	c.tables()
	c.exports()
	c.declarations()
	for i := range m.Codes {
		c.body(i)
	}
	return c, nil
}

func (c *checker) fail(format string, args ...any) { (&reader{}).fail(format, args...) }

func (c *checker) refuse(format string, args ...any) {
	(&reader{}).refuse(fmt.Sprintf(format, args...))
}

// imports allows functions of numbers only, since that is all that a host has to
// give, and one type for each name, since some engines find them by it.
func (c *checker) imports() {
	types := map[[2]string]uint32{}
	for _, im := range c.m.Imports {
		if im.Kind != KindFunc {
			what := map[byte]string{KindTable: "table", KindMemory: "memory", KindGlobal: "global", KindTag: "exception"}[im.Kind]
			c.refuse("the imported %s %s.%s", what, im.Module, im.Name)
		}
		if im.Module == RefillModule {
			c.refuse("an import from %s, which is a name of ours", im.Module)
		}
		if im.Module == "" {
			c.refuse("an import from a module without a name")
		}
		c.typeIndex(uint64(im.Type))
		t, name := c.m.Types[im.Type], [2]string{im.Module, im.Name}
		if !t.ofNumbers() {
			c.refuse("the import %s.%s with other parameters or results than numbers", im.Module, im.Name)
		}
		if other, ok := types[name]; ok && !c.m.Types[other].equal(t) {
			c.refuse("the import %s.%s with two types", im.Module, im.Name)
		}
		types[name] = im.Type
	}
}

func (c *checker) memory() {
	if len(c.m.Memories) > 1 {
		c.refuse("more than one memory")
	}
	for _, l := range c.m.Memories {
		if l.Flags&limitsShared != 0 {
			c.refuse("shared memory")
		}
	}
	if len(c.m.Tags) > 0 {
		c.refuse("exceptions")
	}
}

const (
	// tablesMax is what engines take, and tableEntriesMax what a process may take
	// for its tables beside its memory: some megabytes.
	tablesMax       = 100
	tableEntriesMax = 1 << 18
)

func (c *checker) tables() {
	if len(c.m.Tables) > tablesMax {
		c.refuse("more than %d tables", tablesMax)
	}
	var entries uint64
	for _, t := range c.m.Tables {
		if t.limits.Flags&^limitsHasMax != 0 {
			c.refuse("a 64-bit or shared table")
		}
		if t.limits.Min > tableEntriesMax || entries+t.limits.Min > tableEntriesMax {
			c.refuse("tables of more than %d entries", tableEntriesMax)
		}
		entries += t.limits.Min
	}
}

func (c *checker) exports() {
	seen := map[string]bool{}
	for _, e := range c.m.Exports {
		if seen[e.Name] {
			c.fail("it exports %q twice", e.Name)
		}
		seen[e.Name] = true
		if strings.HasPrefix(e.Name, reservedPrefix) {
			c.refuse("an export called %s, which is a name of ours", e.Name)
		}
		switch e.Kind {
		case KindFunc:
			c.funcIndex(uint64(e.Index))
		case KindGlobal:
			c.globalIndex(uint64(e.Index))
		}
	}
}

// declarations are all that lies outside of function bodies.
func (c *checker) declarations() {
	for _, t := range c.m.Funcs {
		c.typeIndex(uint64(t))
	}
	if c.m.start >= 0 {
		c.funcIndex(uint64(c.m.start))
	}
	for _, g := range c.m.Globals {
		c.expression(g.init)
		if g.mutable != 0 && !isNumber(g.valueType) {
			c.refuse("a mutable global that is no number, which is not kept with its state")
		}
	}
	for _, e := range c.m.elements {
		c.expression(e.offset)
		for _, f := range e.funcs {
			c.funcIndex(uint64(f))
		}
		for _, expr := range e.exprs {
			c.expression(expr)
		}
	}
	for _, d := range c.m.datas {
		c.expression(d.offset)
	}
}

func (c *checker) expression(b []byte) {
	for r := (&reader{b: b}); !r.done(); {
		switch op, o := r.instruction(); op {
		case opGlobalGet:
			c.globalIndex(o.a)
		case opRefFunc:
			c.funcIndex(o.a)
		}
	}
}

func (c *checker) body(index int) {
	code := &c.m.Codes[index]
	locals := uint64(len(c.m.Types[c.m.Funcs[index]].Params))
	for _, l := range code.locals {
		locals += uint64(l.count)
	}
	open := 1
	for r := (&reader{b: code.body}); open > 0 || !r.done(); {
		if open == 0 {
			r.fail("a function goes on after its end")
		}
		op, o := r.instruction()
		switch op {
		case opBlock, opLoop, opIf:
			open++
			if o.s >= 0 {
				c.typeIndex(uint64(o.s))
			}
		case opEnd:
			open--
		case opCall, opRefFunc:
			c.funcIndex(o.a)
		case opCallInd:
			c.typeIndex(o.a)
		case opGlobalGet, opGlobalSet:
			c.globalIndex(o.a)
		case opLocalGet, opLocalSet, opLocalTee:
			if o.a >= locals {
				r.fail("local %d of %d is used", o.a, locals)
			}
		}
		if what, ok := untracked[op]; ok {
			c.refuse("%s, which is not kept with its state", what)
		}
		c.simd = c.simd || op>>16 == prefixSIMD
	}
}

// untracked are the instructions that change what no snapshot has and no rollback
// brings back: a process's state is its memory and its globals.
var untracked = map[uint32]string{
	opTableSet:          "a table that changes (table.set)",
	prefixMisc<<16 | 9:  "data that goes away (data.drop)",
	prefixMisc<<16 | 12: "a table that changes (table.init)",
	prefixMisc<<16 | 13: "elements that go away (elem.drop)",
	prefixMisc<<16 | 14: "a table that changes (table.copy)",
	prefixMisc<<16 | 15: "a table that changes (table.grow)",
	prefixMisc<<16 | 17: "a table that changes (table.fill)",
}

func isNumber(valueType byte) bool {
	return valueType == I32 || valueType == I64 || valueType == F32 || valueType == F64
}

// ofNumbers reports whether a function takes numbers and gives at most one.
func (t FuncType) ofNumbers() bool {
	for _, p := range t.Params {
		if !isNumber(p) {
			return false
		}
	}
	return len(t.Results) == 0 || len(t.Results) == 1 && isNumber(t.Results[0])
}

func (c *checker) typeIndex(i uint64) {
	if i >= uint64(len(c.m.Types)) {
		c.fail("type %d of %d is used", i, len(c.m.Types))
	}
}

func (c *checker) funcIndex(i uint64) {
	if i >= uint64(c.funcs) {
		c.fail("function %d of %d is used", i, c.funcs)
	}
}

func (c *checker) globalIndex(i uint64) {
	if i >= uint64(c.globals) {
		c.fail("global %d of %d is used", i, c.globals)
	}
}
