package binary

import "strings"

// The first module format has its import and export names cut to letters. The
// module "a" imports these, and the exports are those below.
var (
	minifiedImports = map[string]string{
		"a": "_emscripten_date_now", "b": "setTempRet0", "c": "fd_close", "d": "__syscall_fcntl64",
		"e": "__syscall_unlinkat", "f": "fd_write", "g": "__syscall_openat", "h": "getTempRet0",
		"i": "_mktime_js", "j": "_tzset_js", "k": "emscripten_memcpy_big", "l": "exit", "m": "system",
		"n": "strftime", "o": "fd_seek", "p": "_emscripten_throw_longjmp", "q": "emscripten_resize_heap",
		"r": "__syscall_lstat64", "s": "__syscall_renameat", "t": "__syscall_rmdir", "u": "environ_get",
		"v": "environ_sizes_get", "w": "__syscall_dup3", "x": "invoke_vii", "y": "fd_read", "z": "__syscall_ioctl",
		"A": "_emscripten_get_now_is_monotonic", "B": "_gmtime_js", "C": "_localtime_js", "D": "abort",
	}
	minifiedExports = map[string]string{
		"E": "memory", "F": "__wasm_call_ctors", "G": "handle", "H": "main", "I": "__indirect_function_table",
		"J": "malloc", "K": "__errno_location", "L": "setThrew", "M": "stackSave", "N": "stackRestore", "O": "stackAlloc",
	}
)

// unminify gives imports and exports their real names back.
func (m *Module) unminify() bool {
	minified := false
	for i := range m.Imports {
		im := &m.Imports[i]
		if im.Module != "a" {
			continue
		}
		minified = true
		im.Module = "env"
		if name, ok := minifiedImports[im.Name]; ok {
			im.Name = name
		}
		if strings.HasPrefix(im.Name, "fd_") || strings.HasPrefix(im.Name, "environ_") {
			im.Module = "wasi_snapshot_preview1"
		}
	}
	for i := range m.Exports {
		if name, ok := minifiedExports[m.Exports[i].Name]; ok && minified {
			m.Exports[i].Name = name
		}
	}
	return minified
}
