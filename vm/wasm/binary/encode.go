package binary

import "encoding/binary"

func appendU(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func appendS(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte { return append(appendU(b, uint64(len(s))), s...) }

func appendBytes(b, s []byte) []byte { return append(appendU(b, uint64(len(s))), s...) }

func appendLimits(b []byte, l Limits) []byte {
	b = appendU(append(b, l.Flags), l.Min)
	if l.Flags&limitsHasMax != 0 {
		b = appendU(b, l.Max)
	}
	return b
}

// Encode writes the module.
func (m *Module) Encode() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = appendSection(out, 1, m.Types, appendType)
	out = appendSection(out, 2, m.Imports, appendImport)
	out = appendSection(out, 3, m.Funcs, appendIndex)
	out = appendSection(out, 4, m.Tables, func(b []byte, t table) []byte { return appendLimits(append(b, t.refType), t.limits) })
	out = appendSection(out, 5, m.Memories, appendLimits)
	out = appendSection(out, 13, m.Tags, func(b []byte, t uint32) []byte { return appendIndex(append(b, 0), t) })
	out = appendSection(out, 6, m.Globals, func(b []byte, g global) []byte {
		return append(append(b, g.valueType, g.mutable), g.init...)
	})
	out = appendSection(out, 7, m.Exports, func(b []byte, e Export) []byte {
		return appendIndex(append(appendName(b, e.Name), e.Kind), e.Index)
	})
	if m.start >= 0 {
		out = appendBytes(append(out, 8), appendU(nil, uint64(m.start)))
	}
	out = appendSection(out, 9, m.elements, appendElement)
	if m.dataCount >= 0 {
		out = appendBytes(append(out, 12), appendU(nil, uint64(m.dataCount)))
	}
	out = appendSection(out, 10, m.Codes, appendCode)
	return appendSection(out, 11, m.datas, appendData)
}

func appendSection[T any](out []byte, id byte, items []T, item func([]byte, T) []byte) []byte {
	if len(items) == 0 {
		return out
	}
	b := appendU(nil, uint64(len(items)))
	for _, i := range items {
		b = item(b, i)
	}
	return appendBytes(append(out, id), b)
}

func appendIndex(b []byte, i uint32) []byte { return appendU(b, uint64(i)) }

func appendType(b []byte, t FuncType) []byte {
	return appendBytes(appendBytes(append(b, 0x60), t.Params), t.Results)
}

func appendImport(b []byte, im Import) []byte {
	b = append(appendName(appendName(b, im.Module), im.Name), im.Kind)
	switch im.Kind {
	case KindFunc:
		return appendIndex(b, im.Type)
	case KindTable:
		return appendLimits(append(b, im.RefType), im.Limits)
	case KindMemory:
		return appendLimits(b, im.Limits)
	case KindGlobal:
		return append(b, im.ValueType, im.Mutable)
	}
	return appendIndex(append(b, 0), im.Type)
}

func appendElement(b []byte, e element) []byte {
	b = appendU(b, uint64(e.flags))
	if e.flags&1 == 0 {
		if e.flags&2 != 0 {
			b = appendIndex(b, e.table)
		}
		b = append(b, e.offset...)
	}
	if e.flags&3 != 0 {
		b = append(b, e.kind)
	}
	if e.flags&4 != 0 {
		b = appendU(b, uint64(len(e.exprs)))
		for _, expr := range e.exprs {
			b = append(b, expr...)
		}
		return b
	}
	b = appendU(b, uint64(len(e.funcs)))
	for _, f := range e.funcs {
		b = appendIndex(b, f)
	}
	return b
}

func appendCode(b []byte, c code) []byte {
	body := appendU(nil, uint64(len(c.locals)))
	for _, l := range c.locals {
		body = append(appendIndex(body, l.count), l.kind)
	}
	return appendBytes(b, append(body, c.body...))
}

func appendData(b []byte, d data) []byte {
	b = appendU(b, uint64(d.flags))
	if d.flags == 2 {
		b = appendIndex(b, d.memory)
	}
	if d.flags != 1 {
		b = append(b, d.offset...)
	}
	return appendBytes(b, d.bytes)
}
