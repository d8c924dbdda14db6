package binary

// Value types.
const (
	I32  byte = 0x7f
	I64  byte = 0x7e
	F32  byte = 0x7d
	F64  byte = 0x7c
	V128 byte = 0x7b

	funcRef   byte = 0x70
	externRef byte = 0x6f
)

// Kinds of imports and exports.
const (
	KindFunc   byte = 0
	KindTable  byte = 1
	KindMemory byte = 2
	KindGlobal byte = 3
	KindTag    byte = 4
)

// FuncType is a function's signature.
type FuncType struct{ Params, Results []byte }

func (t FuncType) equal(u FuncType) bool {
	return string(t.Params) == string(u.Params) && string(t.Results) == string(u.Results)
}

// Limits bound a table or memory; Flags bit 0 says that Max is there, bit 1
// that the memory is shared, bit 2 that it is 64-bit.
type Limits struct {
	Flags    byte
	Min, Max uint64
}

const (
	limitsHasMax = 1
	limitsShared = 2
	limits64     = 4
)

// Import is one imported thing.
type Import struct {
	Module, Name string
	Kind         byte
	Type         uint32 // of a function or tag
	RefType      byte   // of a table
	Limits       Limits
	ValueType    byte // of a global
	Mutable      byte
}

// Export is one exported thing.
type Export struct {
	Name  string
	Kind  byte
	Index uint32
}

// Module is a decoded module. Function bodies and constant expressions stay as
// bytes.
type Module struct {
	Types   []FuncType
	Imports []Import
	// Funcs holds the type of each function that has code.
	Funcs     []uint32
	Tables    []table
	Memories  []Limits
	Tags      []uint32
	Globals   []global
	Exports   []Export
	start     int64 // -1: none
	elements  []element
	dataCount int64 // -1: none
	Codes     []code
	datas     []data
	locals    uint64 // of all functions

	// transient are the globals that are no part of a process's state.
	transient map[uint32]bool
	refill    uint32 // the import that refills counters, once it is there
}

type table struct {
	refType byte
	limits  Limits
}

type global struct {
	valueType, mutable byte
	init               []byte // with its end
}

type element struct {
	flags  uint32
	table  uint32
	offset []byte
	kind   byte
	funcs  []uint32
	exprs  [][]byte
}

type local struct {
	count uint32
	kind  byte
}

// code is a function's body, with its final end.
type code struct {
	locals []local
	body   []byte
}

type data struct {
	flags  uint32
	memory uint32
	offset []byte
	bytes  []byte
}

func (m *Module) countImports(kind byte) uint32 {
	var n uint32
	for _, im := range m.Imports {
		if im.Kind == kind {
			n++
		}
	}
	return n
}

// signature gives the type of any function, imported or not, whose index has
// been checked.
func (m *Module) signature(index uint32) FuncType {
	for _, im := range m.Imports {
		if im.Kind != KindFunc {
			continue
		}
		if index == 0 {
			return m.Types[im.Type]
		}
		index--
	}
	return m.Types[m.Funcs[index]]
}

// exported finds an exported function under the first of these names that
// exists.
func (m *Module) exported(names ...string) (index uint32, ok bool) {
	for _, name := range names {
		for _, e := range m.Exports {
			if e.Kind == KindFunc && e.Name == name {
				return e.Index, true
			}
		}
	}
	return 0, false
}

// importedFunc finds an imported function's index by name.
func (m *Module) importedFunc(module, name string) (index uint32, ok bool) {
	for _, im := range m.Imports {
		if im.Kind != KindFunc {
			continue
		}
		if im.Module == module && im.Name == name {
			return index, true
		}
		index++
	}
	return 0, false
}

func (m *Module) addType(t FuncType) uint32 {
	for i, have := range m.Types {
		if have.equal(t) {
			return uint32(i)
		}
	}
	m.Types = append(m.Types, t)
	return uint32(len(m.Types) - 1)
}

func (m *Module) addFunc(typeIndex uint32, c code) uint32 {
	m.Funcs = append(m.Funcs, typeIndex)
	m.Codes = append(m.Codes, c)
	return m.countImports(KindFunc) + uint32(len(m.Funcs)) - 1
}

// addGlobal adds a mutable global; export is its exported name or "".
func (m *Module) addGlobal(valueType byte, init []byte, export string) uint32 {
	index := m.countImports(KindGlobal) + uint32(len(m.Globals))
	m.Globals = append(m.Globals, global{valueType: valueType, mutable: 1, init: append(init, opEnd)})
	if export != "" {
		m.Exports = append(m.Exports, Export{Name: export, Kind: KindGlobal, Index: index})
	}
	return index
}

// scratch hands out extra locals of one function.
type scratch struct {
	code  *code
	next  uint32
	taken map[scratchKey]uint32
}

type scratchKey struct {
	kind byte
	slot int
}

func (m *Module) scratch(index int) *scratch {
	c := &m.Codes[index]
	s := &scratch{code: c, taken: map[scratchKey]uint32{}}
	s.next = uint32(len(m.Types[m.Funcs[index]].Params))
	for _, l := range c.locals {
		s.next += l.count
	}
	return s
}

// local gives the local of a type and slot, adding it on first use.
func (s *scratch) local(kind byte, slot int) uint32 {
	key := scratchKey{kind, slot}
	index, ok := s.taken[key]
	if !ok {
		index = s.next
		s.next++
		s.taken[key] = index
		s.code.locals = append(s.code.locals, local{1, kind})
	}
	return index
}
