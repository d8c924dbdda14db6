package binary

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// malformed is what a reader panics with; Decode turns it into an error.
type malformed struct{ reason string }

// reader takes values off untrusted bytes. It panics with malformed where they
// end or do not fit, because checking an error after each of a module's million
// integers would hide what the decoder does.
type reader struct {
	b  []byte
	at int
}

func (r *reader) fail(format string, args ...any) {
	panic(malformed{fmt.Sprintf(format, args...)})
}

// refuse is for what is well-formed and cannot be had.
func (r *reader) refuse(feature string) { panic(&UnsupportedError{feature}) }

// caught turns what readers panic with into an error. It is deferred.
func caught(err *error) {
	switch reason := recover().(type) {
	case nil:
	case malformed:
		*err = fmt.Errorf("malformed wasm module: %s", reason.reason)
	case *UnsupportedError:
		*err = reason
	default:
		panic(reason)
	}
}

func (r *reader) done() bool { return r.at >= len(r.b) }

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail("it ends too early")
	}
	b := r.b[r.at]
	r.at++
	return b
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail("%d bytes are wanted where %d are left", n, len(r.b)-r.at)
	}
	b := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u64() uint64 {
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 {
		r.fail("an integer is cut off or too large")
	}
	r.at += n
	return v
}

func (r *reader) u32() uint32 {
	v := r.u64()
	if v > 1<<32-1 {
		r.fail("an integer needs more than 32 bits")
	}
	return uint32(v)
}

// count reads a length that cannot exceed the bytes left, so that no list is
// longer than the input.
func (r *reader) count() int {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail("a list of %d where %d bytes are left", n, len(r.b)-r.at)
	}
	return int(n)
}

func (r *reader) s64() int64 {
	var v int64
	for shift := uint(0); shift < 70; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift < 57 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.fail("a signed integer is too long")
	return 0
}

func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.fail("a name is not UTF-8")
	}
	return string(b)
}

func (r *reader) limits() Limits {
	l := Limits{Flags: r.byte()}
	if l.Flags > limitsHasMax|limitsShared|limits64 {
		r.fail("limits of kind %d are unknown", l.Flags)
	}
	l.Min = r.u64()
	if l.Flags&limitsHasMax != 0 {
		l.Max = r.u64()
	}
	return l
}

// expression reads a constant expression with its end.
func (r *reader) expression() []byte {
	start := r.at
	for {
		if op, _ := r.instruction(); op == opEnd {
			return r.b[start:r.at:r.at]
		}
	}
}

// Decode reads a module. Custom sections (names, debug information) are left
// out. It does not look into function bodies.
func Decode(b []byte) (*Module, error) {
	m := &Module{start: -1, dataCount: -1, transient: map[uint32]bool{}}
	if err := m.decode(b); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Module) decode(b []byte) (err error) {
	defer caught(&err)
	if len(b) < 8 || string(b[:4]) != "\x00asm" || binary.LittleEndian.Uint32(b[4:]) != 1 {
		return fmt.Errorf("not a wasm module: it does not begin with \\0asm and version 1")
	}
	for r := (&reader{b: b, at: 8}); !r.done(); {
		id := r.byte()
		section := &reader{b: r.bytes(r.u32())}
		if id == 0 {
			continue
		}
		m.section(id, section)
		if !section.done() {
			r.fail("section %d is longer than its content", id)
		}
	}
	if len(m.Funcs) != len(m.Codes) {
		return fmt.Errorf("malformed wasm module: %d functions and %d bodies", len(m.Funcs), len(m.Codes))
	}
	return nil
}

func (m *Module) section(id byte, r *reader) {
	switch id {
	case 8:
		m.start = int64(r.u32())
		return
	case 12:
		m.dataCount = int64(r.u32())
		return
	}
	item := map[byte]func(*reader){
		1: m.readType, 2: m.readImport, 3: m.readFunc, 4: m.readTable, 5: m.readMemory, 6: m.readGlobal,
		7: m.readExport, 9: m.readElement, 10: m.readCode, 11: m.readData, 13: m.readTag,
	}[id]
	if item == nil {
		r.fail("section %d is unknown", id)
	}
	for n := r.count(); n > 0; n-- {
		item(r)
	}
}

func (m *Module) readType(r *reader) {
	if form := r.byte(); form != 0x60 {
		r.fail("type form %#x is not a function", form)
	}
	m.Types = append(m.Types, FuncType{Params: r.valueTypes(), Results: r.valueTypes()})
}

// valuesMax bounds the parameters and the results of a function: wasmer crashes at
// some number over 150.
const valuesMax = 100

func (r *reader) valueTypes() []byte {
	types := r.bytes(r.u32())
	if len(types) > valuesMax {
		r.fail("a function type has %d parameters or results", len(types))
	}
	for _, t := range types {
		if (t < V128 || t > I32) && t != funcRef && t != externRef {
			r.refuse(fmt.Sprintf("value type %#x", t))
		}
	}
	return types
}

func (m *Module) readImport(r *reader) {
	im := Import{Module: r.name(), Name: r.name(), Kind: r.byte()}
	switch im.Kind {
	case KindFunc:
		im.Type = r.u32()
	case KindTable:
		im.RefType, im.Limits = r.byte(), r.limits()
	case KindMemory:
		im.Limits = r.limits()
	case KindGlobal:
		im.ValueType, im.Mutable = r.byte(), r.byte()
	case KindTag:
		r.byte()
		im.Type = r.u32()
	default:
		r.fail("import kind %d is unknown", im.Kind)
	}
	m.Imports = append(m.Imports, im)
}

func (m *Module) readFunc(r *reader) { m.Funcs = append(m.Funcs, r.u32()) }
func (m *Module) readTable(r *reader) {
	m.Tables = append(m.Tables, table{refType: r.byte(), limits: r.limits()})
}
func (m *Module) readMemory(r *reader) { m.Memories = append(m.Memories, r.limits()) }
func (m *Module) readGlobal(r *reader) {
	m.Globals = append(m.Globals, global{valueType: r.byte(), mutable: r.byte(), init: r.expression()})
}
func (m *Module) readExport(r *reader) {
	m.Exports = append(m.Exports, Export{Name: r.name(), Kind: r.byte(), Index: r.u32()})
}
func (m *Module) readTag(r *reader) {
	r.byte()
	m.Tags = append(m.Tags, r.u32())
}

func (m *Module) readElement(r *reader) {
	e := element{flags: r.u32()}
	if e.flags > 7 {
		r.fail("element flags %d are unknown", e.flags)
	}
	if e.flags&1 == 0 {
		if e.flags&2 != 0 {
			e.table = r.u32()
		}
		e.offset = r.expression()
	}
	if e.flags&3 != 0 {
		e.kind = r.byte()
	}
	for n := r.count(); n > 0; n-- {
		if e.flags&4 != 0 {
			e.exprs = append(e.exprs, r.expression())
		} else {
			e.funcs = append(e.funcs, r.u32())
		}
	}
	m.elements = append(m.elements, e)
}

// Bounds of the locals of one function and of all, which a module can declare
// by the billion in a few bytes.
const (
	localsMax      = 49_000 // engines take 50,000, and the passes add some
	localsTotalMax = 4_000_000
)

func (m *Module) readCode(r *reader) {
	body := &reader{b: r.bytes(r.u32())}
	var c code
	var total uint64
	for n := body.count(); n > 0; n-- {
		l := local{count: body.u32(), kind: body.byte()}
		if total += uint64(l.count); total > localsMax {
			r.fail("a function has more than %d locals", localsMax)
		}
		c.locals = append(c.locals, l)
	}
	if m.locals += total; m.locals > localsTotalMax {
		r.fail("its functions have more than %d locals", localsTotalMax)
	}
	c.body = body.b[body.at:]
	m.Codes = append(m.Codes, c)
}

func (m *Module) readData(r *reader) {
	d := data{flags: r.u32()}
	switch d.flags {
	case 0, 1:
	case 2:
		d.memory = r.u32()
	default:
		r.fail("data flags %d are unknown", d.flags)
	}
	if d.flags != 1 {
		d.offset = r.expression()
	}
	d.bytes = r.bytes(r.u32())
	m.datas = append(m.datas, d)
}
