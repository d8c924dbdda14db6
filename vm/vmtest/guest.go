package vmtest

// Guest is a module that does what the first letter of its message says, which
// is a JSON string. It counts in memory and in a global.
//
//	count     add one to both counters and answer their sum, modulo 10
//	time      answer the clock in milliseconds, modulo 10
//	zoom      grow the memory by a page, write to it, then count
//	file      open /data/x in WeaveDrive and answer its first byte
//	output    answer with 100,000 bytes
//	no        refuse
//	junk      answer with what is not JSON
//	loop      loop for ever
//	recurse   call itself for ever
//	bomb      ask for memory until there is none, then trap
//	heap      the same through the host
//	unreachable, divide   trap
//	pointer   answer with a pointer out of memory
//	write     print from out of memory
//	string    answer with a text that has no end
func Guest() []byte {
	const (
		signatureHandle = iota // (i32, i32) -> i32
		signatureGet           // () -> i32
		signatureMap           // (i32) -> i32
		signatureSet           // (i32) -> ()
		signatureWrite         // (i32, i32, i32, i32) -> i32
		signatureNow           // () -> f64
		signatureRead          // (i32, i32, i32) -> i32
	)
	return join(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1,
			signature([]byte{typeI32, typeI32}, []byte{typeI32}),
			signature(nil, []byte{typeI32}),
			signature([]byte{typeI32}, []byte{typeI32}),
			signature([]byte{typeI32}, nil),
			signature([]byte{typeI32, typeI32, typeI32, typeI32}, []byte{typeI32}),
			signature(nil, []byte{typeF64}),
			signature([]byte{typeI32, typeI32, typeI32}, []byte{typeI32}),
		),
		section(2,
			imported("env", "emscripten_resize_heap", signatureMap),
			imported("wasi_snapshot_preview1", "fd_write", signatureWrite),
			imported("env", "emscripten_date_now", signatureNow),
			imported("env", "__asyncjs__weavedrive_open", signatureHandle),
			imported("env", "__asyncjs__weavedrive_read", signatureRead),
		),
		section(3, uleb(signatureHandle), uleb(signatureGet), uleb(signatureSet), uleb(signatureMap)),
		section(5, join(op(1), uleb(guestPagesMin), uleb(guestPagesMax))),
		section(6,
			join(op(typeI32, 1), i32(0x8000), op(0x0b)), // the stack pointer
			join(op(typeI32, 1), i32(0), op(0x0b)),      // a counter
		),
		section(7,
			exported("memory", 2, 0),
			exported("handle", 0, guestHandle),
			exported("stackSave", 0, guestHandle+1),
			exported("stackRestore", 0, guestHandle+2),
			exported("stackAlloc", 0, guestHandle+3),
		),
		section(10,
			function(2, guestBody()),
			function(0, global(0)),
			function(0, local(0), setGlobal(0)),
			function(0, global(0), local(0), op(0x6b), i32(-16), op(0x71), setGlobal(0), global(0)),
		),
		section(11,
			data(guestAnswer, `{"ok":true,"response":"?"}`),
			data(guestRefusal, `{"ok":false,"response":"I refuse"}`),
			data(guestJunk, `{"ok":`),
			data(guestPath, `/data/x`),
			data(guestOutput, `{"ok":true,"response":"`),
			data(guestOutput+100_000, `"}`),
		),
	)
}

// What lies where in the guest.
const (
	guestPagesMin = 4
	guestPagesMax = 64

	guestHandle = 5 // the first function after the imports

	guestAnswer  = 1024
	guestDigit   = guestAnswer + 23
	guestRefusal = 1100
	guestJunk    = 1200
	guestPath    = 1300
	guestCounter = 2048
	guestOutput  = 70_000
)

func guestBody() []byte {
	when := func(letter byte, body ...[]byte) []byte {
		return join(local(0), load8(1), i32(int64(letter)), op(0x46, 0x04, 0x40), join(body...), op(0x0b))
	}
	answer := func(pointer int64) []byte { return join(i32(pointer), op(0x0f)) }
	digit := func(value []byte) []byte {
		return join(i32(guestDigit), value, i32(10), op(0x70), i32('0'), op(0x6a), store8(0), answer(guestAnswer))
	}
	count := join(
		i32(guestCounter), i32(guestCounter), load32(0), i32(1), op(0x6a), store32(0),
		global(1), i32(1), op(0x6a), setGlobal(1),
		digit(join(i32(guestCounter), load32(0), global(1), op(0x6a))),
	)
	dirty := join(i32(guestCounter), i32(77), store32(0), i32(99), setGlobal(1)) // what a rollback must undo
	grow := op(0x40, 0)
	trap := op(0)
	return join(
		when('c', count),
		when('t', digit(join(call(2), op(0xab)))),
		when('z', i32(1), grow, i32(65536), op(0x6c), i32(7), store8(100), count),
		when('f',
			i32(guestPath), i32(guestPath), call(3), setLocal(2),
			i32(guestDigit), i32('-'), store8(0),
			local(2), i32(guestDigit), i32(1), call(4), op(0x1a),
			answer(guestAnswer)),
		when('o',
			i32(guestOutput+23), setLocal(2),
			op(0x03, 0x40),
			local(2), i32('x'), store8(0),
			local(2), i32(1), op(0x6a), op(0x22, 2), i32(guestOutput+100_000), op(0x49, 0x0d, 0),
			op(0x0b),
			answer(guestOutput)),
		dirty,
		when('n', answer(guestRefusal)),
		when('j', answer(guestJunk)),
		when('l', forever(nil)),
		when('r', local(0), local(1), call(guestHandle), op(0x0f)),
		when('b', forever(join(i32(1), grow, i32(0), op(0x48, 0x04, 0x40), trap, op(0x0b)))),
		when('h', i32(0x10000000), call(0), op(0x45, 0x04, 0x40), trap, op(0x0b)),
		when('d', i32(1), i32(0), op(0x6d), op(0x0f)),
		when('p', answer(-16)),
		when('w', i32(1), i32(-8), i32(1), i32(guestCounter), call(1), op(0x0f)),
		when('s',
			i32(guestPagesMin*65536-1), i32('x'), store8(0),
			answer(guestPagesMin*65536-1)),
		trap,
	)
}
