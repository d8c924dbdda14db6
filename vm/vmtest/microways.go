package vmtest

import "bytes"

// memoryCommands grow the memory, fill it, and copy in it, up to its last byte and
// over it.
func memoryCommands(m *module) {
	m.datas = append(m.datas, join(op(1), sized([]byte("sixteen bytes ok")))) // the one after the answer
	p := m.pointer
	note := func(slot int, value []byte) []byte {
		return join(p(microResults), value, access(storeOf[m.address()], 8*slot))
	}
	size, grow := op(0x3f, 0), op(0x40, 0)
	fill, copied, begun := op(0xfc, 11, 0), op(0xfc, 10, 0, 0), op(0xfc, 8, 1, 0)
	end := join(size, p(16), op(map[bool]byte{false: 0x74, true: 0x86}[m.wide]))
	less := func(n int64) []byte { return join(end, p(n), op(map[bool]byte{false: 0x6b, true: 0x7d}[m.wide])) }

	m.command(nil, note(0, size), note(1, join(p(1), grow)), note(2, size), note(3, join(p(0), grow)))
	m.command(nil, note(4, join(p(1000), grow)), note(5, join(p(-1), grow)), note(6, join(p(1<<31), grow)), note(7, size))
	m.command(nil, p(microResults+100), i32(0x1ab), p(33), fill)
	m.command(nil, p(microResults+100), p(microResults+101), p(31), copied, p(microResults+203), p(microResults+100), p(31), copied)
	m.command(nil, p(microResults+105), p(microResults+100), p(31), copied)
	m.command(nil, p(microResults+300), i32(3), i32(9), begun, p(microResults+320), i32(16), i32(0), begun)
	m.command(nil, end, i32(1), p(0), fill, end, end, p(0), copied, end, i32(16), i32(0), begun)
	m.command(nil, less(3), i32(7), p(3), fill, less(2), less(3), p(2), copied)
	for _, over := range [][]byte{
		join(less(3), i32(8), p(4), fill),
		join(less(-1), i32(8), p(0), fill),
		join(p(-1), i32(8), p(2), fill),
		join(p(0), i32(8), p(-1), fill),
		join(less(2), p(0), p(3), copied),
		join(p(0), less(2), p(3), copied),
		join(p(0), p(0), p(-1), copied),
		join(less(-1), p(0), p(0), copied),
		join(p(microResults), i32(10), i32(7), begun),
		join(p(microResults), i32(17), i32(0), begun),
		join(less(4), i32(0), i32(5), begun),
		join(p(microResults), i32(-1), i32(2), begun),
	} {
		m.command(nil, over)
	}
}

// accessCommands load and store in every width, aligned or not, at the last bytes
// of the memory and over them, with small and with large offsets.
func accessCommands(m *module) {
	type width struct {
		load, store byte
		bytes       int64
		result      byte
	}
	widths := []width{
		{0x28, 0x36, 4, typeI32}, {0x29, 0x37, 8, typeI64}, {0x2a, 0x38, 4, typeF32}, {0x2b, 0x39, 8, typeF64},
		{0x2c, 0x3a, 1, typeI32}, {0x2d, 0x3a, 1, typeI32}, {0x2e, 0x3b, 2, typeI32}, {0x2f, 0x3b, 2, typeI32},
		{0x30, 0x3c, 1, typeI64}, {0x31, 0x3c, 1, typeI64}, {0x32, 0x3d, 2, typeI64}, {0x33, 0x3d, 2, typeI64}, {0x34, 0x3e, 4, typeI64}, {0x35, 0x3e, 4, typeI64},
	}
	m.data(microEdges, littleEndian([]uint64{0x8182_8384_8586_8788, 0x7ff0_0000_0000_0001, 0xffa1_2345_7f80_0001}))
	p, end := m.pointer, int64(2*65536)
	var good, last []byte
	for n, w := range widths {
		for at := range int64(8) {
			good = join(good, p(microResults), p(microEdges+at), access(w.load, int(at)), access(storeOf[w.result], 128*n+int(8*at)))
		}
		last = join(last, p(end-w.bytes), p(microEdges), access(w.load, 3), access(w.store, 0), p(microResults), p(end-w.bytes), access(w.load, 0), access(storeOf[w.result], 8*n))
	}
	m.command(nil, good)
	m.command(nil, last)
	for _, w := range widths[:6] {
		for _, over := range []struct {
			at     int64
			offset int
		}{{end - w.bytes + 1, 0}, {end, 0}, {0, int(end - w.bytes + 1)}, {1 << 31, 1 << 31}, {-1, 1}, {-1, 0xffff_ffff}} {
			m.command(nil, p(over.at), access(w.load, over.offset), op(0x1a))
		}
		m.command(nil, p(end-w.bytes+1), p(microEdges), access(w.load, 0), access(w.store, 0))
	}
}

// tableCommands call through tables: what is there, what is not, and what has
// another type.
func tableCommands(m *module) {
	one := m.function(nil, []byte{typeI32}, nil, i32(1))
	add := m.function([]byte{typeI32}, []byte{typeI32}, nil, local(0), i32(100), op(0x6a))
	get, change := m.signature(nil, []byte{typeI32}), m.signature([]byte{typeI32}, []byte{typeI32})
	m.tables = [][]byte{op(typeFuncRef, 1, 6, 8), op(typeFuncRef, 0, 0)}
	m.elements = [][]byte{
		join(op(2, 1), i32(1), op(0x0b, 0), vector(uleb(one), uleb(add), uleb(one))),
		join(op(6, 1), i32(5), op(0x0b, typeFuncRef), vector(join(op(0xd2), uleb(add), op(0x0b)))),
		join(op(3, 0), vector(uleb(one))),
	}
	call := func(signature, table int, index []byte) []byte {
		return join(m.pointer(microResults), index, op(0x11), uleb(signature), uleb(table), store32(0))
	}
	hidden := join(m.pointer(microEdges), load32(0)) // zero, and no compiler knows
	m.command(nil, call(get, 1, i32(1)), call(change, 1, join(i32(5), i32(2))), call(change, 1, join(i32(6), i32(5))))
	m.command(nil, call(get, 1, join(hidden, i32(3), op(0x6a))))
	for _, index := range []int64{0, 2, 4, 6, 7, -1, 1 << 31} {
		m.command(nil, call(get, 1, i32(index)))
		m.command(nil, call(get, 1, join(hidden, i32(index), op(0x6a))))
	}
	m.command(nil, call(get, 2, i32(0)))
	for index := range int64(6) {
		m.command(nil, m.pointer(microResults), i32(index), op(0x25, 1, 0xd1), store32(int(8*index)))
	}
	m.command(nil, i32(6), op(0x25, 1, 0x1a))
	m.command(nil, m.pointer(microResults), op(0xfc, 16, 1), store32(64), m.pointer(microResults), op(0xd2), uleb(one), op(0xd1), store32(72))
	m.command(nil, i32(0), op(0x11, signatureCommand, 0)) // the first command, which is in table 0
}

// controlCommands go through blocks, loops and branches of every kind.
func controlCommands(m *module) {
	note := func(slot int, value []byte) []byte { return join(m.pointer(microResults), value, store32(8*slot)) }
	pair := m.signature(nil, []byte{typeI32, typeI32})
	swap := m.signature([]byte{typeI32, typeI32}, []byte{typeI32, typeI32})
	hidden := join(m.pointer(microEdges), load32(0))
	for _, index := range []int64{0, 1, 2, 3, 100, -1} {
		for _, value := range [][]byte{i32(index), join(hidden, i32(index), op(0x6a))} {
			m.command(nil, note(0, join(
				op(0x02, typeI32, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40), value, op(0x0e, 3, 0, 1, 2, 2, 0x0b),
				i32(10), op(0x0c, 2, 0x0b), i32(20), op(0x0c, 1, 0x0b), i32(30), op(0x0b))))
		}
	}
	m.command(nil, note(0, join(i32(50), i32(8), op(0x02), uleb(swap), op(0x6b), i32(3), op(0x0b, 0x6b))))
	m.command(nil, note(1, join(op(0x02), uleb(pair), i32(1), i32(2), hidden, op(0x0d, 0, 0x1a, 0x1a), i32(3), i32(4), op(0x0b, 0x6a))))
	m.command([]byte{typeI32}, note(2, join(i32(0), op(0x03), uleb(m.signature([]byte{typeI32}, []byte{typeI32})),
		i32(3), op(0x6a), local(0), i32(1), op(0x6a), op(0x22, 0), i32(1000), op(0x48, 0x0d, 0, 0x0b))))
	m.command(nil, note(3, join(i32(5), i32(6), hidden, op(0x1b))), note(4, join(i32(5), i32(6), hidden, op(0x1c, 1, typeI32))))
	m.command(nil, hidden, op(0x45, 0x04, 0x40), op(0x0f, 0x05, 0x00, 0x0b), op(0x00))
	m.command(nil, hidden, op(0x04, 0x40), op(0x0f, 0x05, 0x00, 0x0b))
	m.command([]byte{typeI64, typeF32, typeF64}, m.pointer(microResults), local(0), access(0x37, 40), m.pointer(microResults), local(1), access(0x38, 48), m.pointer(microResults), local(2), access(0x39, 56))
	m.command(nil, bytes.Repeat(op(0x02, 0x40), 200), hidden, op(0x45, 0x0d), uleb(150), op(0x00), bytes.Repeat(op(0x0b), 200))
	m.command(nil, op(0x02, 0x40), forever(join(hidden, op(0x45, 0x0d, 1))), op(0x0b))
	m.command(nil, forever(nil))
	m.command([]byte{typeI64}, forever(join(local(0), i64(1), op(0x7c), setLocal(0))))
}

// recursionCommands call themselves until there is no stack left. The gas that took
// says how deep they came.
func recursionCommands(m *module) {
	at := func(n int) int { return moduleFuncs + len(m.funcs) + n }
	m.command(nil, call(at(0)))
	m.command(bytes.Repeat([]byte{typeI64}, 500), call(at(0)))
	m.command(bytes.Repeat([]byte{typeF64}, 50), call(at(0)), call(at(0)))
	m.command(nil, i32(int64(len(m.commands))), op(0x11, signatureCommand, 0))
	m.command(nil, call(at(1)))
	m.command(nil, call(at(-1)))
	m.command(nil, op(0x02, 0x40), call(at(0)), op(0x0b), m.pointer(microResults), i32(1), store32(0))
	narrow := m.signature([]byte{typeI32}, []byte{typeI32})
	down := at(0) // n == 0 ? 0 : 1 + down(n - 1)
	m.funcs = append(m.funcs, moduleFunc{narrow, nil, join(local(0), op(0x45, 0x04, typeI32), i32(0), op(0x05), i32(1), local(0), i32(1), op(0x6b), call(down), op(0x6a, 0x0b))})
	for _, depth := range []int64{10, 1000, 10_000, 1_000_000} {
		m.command(nil, m.pointer(microResults), i32(depth), call(down), store32(8))
	}
}
