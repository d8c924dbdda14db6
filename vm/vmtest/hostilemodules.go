package vmtest

import (
	"bytes"
	"fmt"
)

// Module is a module of ours with the messages for it.
type Module struct {
	Name     string
	Wide     bool // it has 64-bit addresses
	Wasm     []byte
	Messages [][]byte
}

// HostileModules are modules that mean harm by what they are, not by what they are
// told: they run before anybody can stop them, take memory that nobody counts, keep
// state where nobody looks, or call their host as no compiler would.
func HostileModules() []Module {
	var list []Module
	add := func(name string, build func(m *module)) {
		m := &module{}
		build(m)
		if len(m.commands) == 0 {
			m.command(nil, i32(moduleData), i32(1), store32(0))
		}
		list = append(list, Module{name, m.wide, m.bytes(), commandMessages(len(m.commands))})
	}

	add("a start that does not end", func(m *module) { m.start = m.function(nil, nil, nil, forever(nil)) })
	add("a start that traps", func(m *module) { m.start = m.function(nil, nil, nil, op(0)) })
	add("a start that calls its host", func(m *module) {
		m.imports = [][]byte{imported("env", "emscripten_date_now", m.signature(nil, []byte{typeF64}))}
		m.start = m.function(nil, nil, nil, i32(moduleData), call(0), op(0x39, 3, 0))
	})
	add("constructors that do not end", func(m *module) {
		m.exports = [][]byte{exported("__wasm_call_ctors", 0, m.function(nil, nil, nil, forever(nil)))}
	})

	const many = 0xffff_ffff
	add("a table of 4 billion", func(m *module) { m.tables = [][]byte{join(op(typeFuncRef, 0), uleb(many))} })
	add("tables of a million", func(m *module) {
		for range 50 {
			m.tables = append(m.tables, join(op(typeFuncRef, 0), uleb(1_000_000)))
		}
	})
	add("10,000 tables", func(m *module) {
		for range 10_000 {
			m.tables = append(m.tables, op(typeFuncRef, 0, 1))
		}
	})
	add("a table that grows", func(m *module) {
		m.tables = [][]byte{op(typeFuncRef, 0, 1)}
		m.command(nil, forever(join(op(0xd0, typeFuncRef), i32(1<<20), op(0xfc, 15, 1, 0x1a))))
	})

	set := func(m *module) {
		m.tables = [][]byte{op(typeFuncRef, 0, 4)}
		m.command(nil, i32(0), op(0xd2), uleb(0), op(0x26, 1))
		m.command(nil, i32(moduleData), i32(0), op(0x25, 1, 0xd1), store32(0))
		m.elements = [][]byte{join(op(3, 0), vector(uleb(0)))}
	}
	add("a table that is written", set)
	add("a table that is filled", func(m *module) { m.command(nil, i32(0), op(0xd0, typeFuncRef), i32(1), op(0xfc, 17, 0)) })
	add("a table that is copied", func(m *module) { m.command(nil, i32(0), i32(0), i32(1), op(0xfc, 14, 0, 0)) })
	add("a table that is begun", func(m *module) {
		m.elements = [][]byte{join(op(1, 0), vector(uleb(0)))}
		m.command(nil, i32(0), i32(0), i32(1), op(0xfc, 12, 1, 0))
	})
	add("elements that are dropped", func(m *module) {
		m.elements = [][]byte{join(op(1, 0), vector(uleb(0)))}
		m.command(nil, op(0xfc, 13, 1))
	})
	add("data that is dropped", func(m *module) {
		m.datas = [][]byte{join(op(1), sized([]byte("data")))}
		m.command(nil, i32(moduleData), i32(0), i32(4), op(0xfc, 8, 1, 0, 0xfc, 9, 1))
	})
	add("a vector as state", func(m *module) {
		m.globals = [][]byte{join(op(typeV128, 1, 0xfd, 12), make([]byte, 16), op(0x0b))}
		m.command(nil, global(1), op(0xfd, 12), []byte("sixteen bytes ok"), op(0xfd, 0x51), setGlobal(1))
		m.command(nil, i32(moduleData), global(1), op(0xfd, 11, 0, 0))
	})
	add("a reference as state", func(m *module) {
		m.globals = [][]byte{op(typeFuncRef, 1, 0xd0, typeFuncRef, 0x0b)}
		m.elements = [][]byte{join(op(3, 0), vector(uleb(0)))}
		m.command(nil, op(0xd2, 0), setGlobal(1))
	})

	add("a host function that calls itself through the guest", func(m *module) {
		m.imports = [][]byte{imported("env", "_mktime_js", m.signature([]byte{typeI32}, []byte{typeI32}))}
		back := m.function([]byte{typeI32}, nil, nil, i32(moduleData), call(0), op(0x1a))
		m.exports = [][]byte{exported("_emscripten_tempret_set", 0, 1+back)}
		m.command(nil, i32(moduleData), call(0), op(0x1a))
	})
	for _, name := range []string{
		"emscripten_resize_heap", "_tzset_js", "_mktime_js", "_gmtime_js", "_localtime_js", "strftime", "exit", "environ_get", "environ_sizes_get",
		"__syscall_openat", "__syscall_fcntl64", "__syscall_ioctl", "__syscall_readlinkat", "__asyncjs__weavedrive_open", "__asyncjs__weavedrive_read",
		"__asyncjs__weavedrive_close", "setTempRet0", "getTempRet0", "emscripten_date_now", "_emscripten_memcpy_js", "_emscripten_system", "abort",
		"fd_write", "fd_read", "fd_seek", "fd_close", "clock_time_get", "__assert_fail", "emscripten_get_now", "nobody_knows",
		"random_get", "poll_oneoff", "args_sizes_get", "args_get", "sched_yield",
	} {
		add(name+" without parameters", func(m *module) {
			m.imports = [][]byte{imported("env", name, m.signature(nil, nil))}
			m.command(nil, call(0))
		})
		add(name+" with floats", func(m *module) {
			m.imports = [][]byte{imported("env", name, m.signature([]byte{typeF64, typeF32, typeF64}, []byte{typeF32}))}
			m.command(nil, i32(moduleData), f64(0x7ff8_0000_0000_0001), f32(0xff80_0001), f64(1<<63), call(0), op(0x38, 2, 0))
		})
		add(name+" with bad pointers", func(m *module) {
			at := []byte{typeI32, typeI32, typeI32, typeI32}
			m.imports = [][]byte{imported("env", name, m.signature(at, []byte{typeI32}))}
			for _, pointer := range []int64{-1, 65536 - 2, -1 << 31} {
				m.command(nil, i32(moduleData), i32(pointer), i32(pointer), i32(pointer), i32(pointer), call(0), store32(0))
			}
		})
	}
	add("an import of vectors", func(m *module) {
		m.imports = [][]byte{imported("env", "exit", m.signature([]byte{typeV128}, []byte{typeV128}))}
	})
	add("an import of references", func(m *module) {
		m.imports = [][]byte{imported("env", "exit", m.signature([]byte{typeFuncRef}, nil))}
	})
	add("an import of two results", func(m *module) {
		m.imports = [][]byte{imported("env", "exit", m.signature(nil, []byte{typeI32, typeI32}))}
	})
	add("a longjmp of floats", func(m *module) {
		m.imports = [][]byte{imported("env", "_emscripten_throw_longjmp", m.signature([]byte{typeF32}, []byte{typeF64}))}
		m.command(nil, f32(0), call(0), op(0x1a))
	})
	add("an invoke of floats", func(m *module) {
		m.imports = [][]byte{imported("env", "invoke_dd", m.signature([]byte{typeF64, typeF64}, []byte{typeF64}))}
		m.command(nil, f64(0), f64(0), call(0), op(0x1a))
	})
	add("one import of two types", func(m *module) {
		m.imports = [][]byte{imported("env", "exit", m.signature([]byte{typeI32}, nil)), imported("env", "exit", m.signature([]byte{typeI64}, nil))}
		m.command(nil, i32(7), call(0))
		m.command(nil, i64(7), call(1))
	})
	add("one import twice", func(m *module) {
		m.imports = [][]byte{imported("env", "exit", m.signature([]byte{typeI32}, nil)), imported("env", "exit", m.signature([]byte{typeI32}, nil))}
		m.command(nil, i32(7), call(1))
	})
	add("names that are no text", func(m *module) {
		m.imports = [][]byte{imported("\xff\xfe", "a\x00b", m.signature(nil, nil))}
		m.command(nil, call(0))
	})
	add("names with zeros", func(m *module) {
		m.imports = [][]byte{imported("env\x00", "a\x00b", m.signature(nil, nil)), imported("", "", m.signature(nil, nil))}
		m.command(nil, call(0))
		m.command(nil, call(1))
	})
	add("floats through the host", func(m *module) {
		m.imports = [][]byte{imported("env", "setTempRet0", m.signature([]byte{typeF32}, nil)), imported("env", "getTempRet0", m.signature(nil, []byte{typeF32}))}
		m.command(nil, f32(0xff80_0001), call(0), i32(moduleData), call(1), op(0x38, 2, 0))
	})
	add("wide floats through the host", func(m *module) {
		m.imports = [][]byte{imported("env", "setTempRet0", m.signature([]byte{typeF64}, nil)), imported("env", "getTempRet0", m.signature(nil, []byte{typeF64}))}
		m.command(nil, f64(0x7ff0_0000_0000_0001), call(0), i32(moduleData), call(1), op(0x39, 3, 0))
	})
	add("a hidden memory", func(m *module) { m.memory = "other" })
	add("a memory that is a function", func(m *module) {
		m.memory = "other"
		m.exports = [][]byte{exported("memory", 0, m.function(nil, nil, nil))}
	})
	add("a thousand parameters", func(m *module) {
		types := bytes.Repeat([]byte{typeI64}, 1000)
		m.imports = [][]byte{imported("env", "nobody_knows", m.signature(types, nil))}
		m.command(nil, bytes.Repeat(i64(1), 1000), call(0))
	})
	for _, n := range []int{100, 101, 1000} {
		for name, t := range map[string]byte{"numbers": typeI64, "vectors": typeV128} {
			types := bytes.Repeat([]byte{t}, n)
			zeros := i64(0)
			if t == typeV128 {
				zeros = join(op(0xfd, 12), make([]byte, 16))
			}
			add(fmt.Sprint(n, " parameters, ", name), func(m *module) {
				m.command(nil, bytes.Repeat(zeros, n), call(m.function(types, nil, nil)))
			})
			add(fmt.Sprint(n, " results, ", name), func(m *module) {
				m.command(nil, call(m.function(nil, types, nil, bytes.Repeat(zeros, n))), bytes.Repeat(op(0x1a), n))
			})
		}
	}
	add("deep blocks", func(m *module) {
		const depth = 20_000
		m.command(nil, bytes.Repeat(op(0x02, 0x40), depth), op(0x0c), uleb(depth-1), bytes.Repeat(op(0x0b), depth))
	})
	add("a long table of branches", func(m *module) {
		m.command(nil, i32(1<<30), op(0x0e), uleb(50_000), make([]byte, 50_001))
	})
	add("50,000 locals that call themselves", func(m *module) {
		self := moduleFuncs
		m.command(bytes.Repeat([]byte{typeI64}, 50_000), call(self))
	})
	add("10,000 operands", func(m *module) {
		m.command(nil, bytes.Repeat(i64(1), 10_000), call(moduleFuncs), bytes.Repeat(op(0x1a), 10_000))
	})
	add("30,000 functions", func(m *module) {
		for range 30_000 {
			m.function(nil, nil, nil)
		}
	})
	add("10,000 globals", func(m *module) {
		for range 10_000 {
			m.globals = append(m.globals, join(op(typeI64, 1), i64(1), op(0x0b)))
		}
		m.command(nil, global(10_000), op(0x50, 0x1a))
	})
	return append(list, oddSignatures()...)
}

// oddSignatures export what a host calls with other parameters or results than a
// compiler gives it.
func oddSignatures() (list []Module) {
	names := []string{"handle", "stackSave", "stackRestore", "stackAlloc"}
	for i, name := range names {
		for kind, t := range map[string][2][]byte{
			"nothing":    {nil, nil},
			"floats":     {{typeF64, typeF64}, {typeF64}},
			"vectors":    {{typeV128, typeV128}, {typeV128}},
			"too much":   {{typeI32, typeI32, typeI32, typeI32, typeI32, typeI32, typeI32, typeI32, typeI32}, {typeI32, typeI32}},
			"references": {{typeFuncRef}, {typeFuncRef}},
		} {
			m := &module{}
			m.command(nil)
			m.replaced = map[int]int{i: m.function(t[0], t[1], nil, op(0))}
			list = append(list, Module{name + " of " + kind, false, m.bytes(), commandMessages(1)})
		}
	}
	return list
}
