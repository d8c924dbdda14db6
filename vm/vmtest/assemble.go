package vmtest

import "encoding/binary"

// The little of the wasm binary format that the test modules are written in.

func uleb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func sleb(n int64) []byte {
	var b []byte
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, part := range parts {
		b = append(b, part...)
	}
	return b
}

func sized(b []byte) []byte { return append(uleb(len(b)), b...) }

func vector(items ...[]byte) []byte { return append(uleb(len(items)), join(items...)...) }

func section(id byte, items ...[]byte) []byte {
	return append([]byte{id}, sized(vector(items...))...)
}

const (
	typeI32     = 0x7f
	typeI64     = 0x7e
	typeF32     = 0x7d
	typeF64     = 0x7c
	typeV128    = 0x7b
	typeFuncRef = 0x70
)

func signature(params, results []byte) []byte {
	return join([]byte{0x60}, sized(params), sized(results))
}

func i32(n int64) []byte         { return append([]byte{0x41}, sleb(int64(int32(n)))...) }
func i64(n int64) []byte         { return append([]byte{0x42}, sleb(n)...) }
func f32(bits uint32) []byte     { return binary.LittleEndian.AppendUint32([]byte{0x43}, bits) }
func f64(bits uint64) []byte     { return binary.LittleEndian.AppendUint64([]byte{0x44}, bits) }
func local(n int) []byte         { return append([]byte{0x20}, uleb(n)...) }
func setLocal(n int) []byte      { return append([]byte{0x21}, uleb(n)...) }
func global(n int) []byte        { return append([]byte{0x23}, uleb(n)...) }
func setGlobal(n int) []byte     { return append([]byte{0x24}, uleb(n)...) }
func call(n int) []byte          { return append([]byte{0x10}, uleb(n)...) }
func load8(offset int) []byte    { return append([]byte{0x2d, 0}, uleb(offset)...) }
func store8(offset int) []byte   { return append([]byte{0x3a, 0}, uleb(offset)...) }
func load32(offset int) []byte   { return append([]byte{0x28, 2}, uleb(offset)...) }
func store32(offset int) []byte  { return append([]byte{0x36, 2}, uleb(offset)...) }
func op(codes ...byte) []byte    { return codes }
func forever(body []byte) []byte { return join(op(0x03, 0x40), body, op(0x0c, 0, 0x0b)) }

func function(locals int, body ...[]byte) []byte {
	declared := vector()
	if locals > 0 {
		declared = vector(append(uleb(locals), typeI32))
	}
	return sized(join(declared, join(body...), op(0x0b)))
}

func imported(module, name string, index int) []byte {
	return join(sized([]byte(module)), sized([]byte(name)), op(0), uleb(index))
}

func exported(name string, kind byte, index int) []byte {
	return join(sized([]byte(name)), op(kind), uleb(index))
}

func data(at int64, text string) []byte {
	return join(op(0), i32(at), op(0x0b), sized([]byte(text)))
}
