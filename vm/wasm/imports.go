package wasm

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// function is the body of an import: parameters in, result in s[0].
type function func(h *host, s []uint64) error

// imports gives a body for everything the module imports. What
// nobody knows ends the guest's call when it is called, not before: modules
// import much that they never use.
func (h *host) imports() []HostFunc {
	list := make([]HostFunc, 0, len(h.module.info.Imports))
	for _, im := range h.module.info.Imports {
		body := lookup(im)
		results := len(im.Type.Results)
		list = append(list, func(stack []uint64) {
			if err := body(h, stack); err != nil {
				clear(stack[:results])
				h.stop(err)
			}
		})
	}
	return list
}

// stop ends the guest's call with an error, as soon as the host function that is
// running returns.
func (h *host) stop(err error) {
	if h.failure == nil {
		h.failure = err
	}
	if err := h.instance.SetGlobal(binary.StopExport, 1); err != nil {
		h.failure = errors.Join(h.failure, err)
	}
}

func lookup(im binary.ImportedFunc) function {
	if im.Module == binary.RefillModule {
		return refill
	}
	if strings.HasPrefix(im.Name, "invoke_") || im.Name == "_emscripten_throw_longjmp" || im.Name == "usegas" {
		return func(*host, []uint64) error {
			return fmt.Errorf("import %s was called although the module was prepared to do without it", im.Name)
		}
	}
	if want := parametersMin[im.Name]; len(im.Type.Params) < want {
		return func(*host, []uint64) error {
			return &vm.TrapError{Reason: fmt.Sprintf("import %s.%s has %d parameters where it needs %d", im.Module, im.Name, len(im.Type.Params), want)}
		}
	}
	for _, table := range []map[string]function{runtimeFunctions, fileFunctions, timeFunctions, wasiFunctions} {
		if body, ok := table[im.Name]; ok {
			return body
		}
	}
	return func(*host, []uint64) error {
		return &vm.TrapError{Reason: fmt.Sprintf("unknown import %s.%s", im.Module, im.Name)}
	}
}

// parametersMin are the parameters of those functions whose bodies read more than
// one.
var parametersMin = map[string]int{
	"environ_sizes_get": 2, "environ_get": 2,
	"clock_time_get": 3, "_gmtime_js": 2, "_localtime_js": 2, "_tzset_js": 2, "strftime": 4, "strftime_l": 4,
	"fd_write": 4, "fd_read": 4, "__syscall_getcwd": 2, "__asyncjs__weavedrive_read": 3,
	"args_sizes_get": 2, "random_get": 2, "poll_oneoff": 4,
}

func refill(h *host, s []uint64) error {
	s[0] = uint64(h.fuel.refill(uint32(s[0]), int64(s[1])))
	return nil
}

// give sets a 32-bit result.
func give(s []uint64, value int32) error {
	s[0] = uint64(uint32(value))
	return nil
}

// answer makes a function that always gives the same.
func answer(value int32) function {
	return func(_ *host, s []uint64) error { return give(s, value) }
}

// runtimeFunctions are emscripten's own: control, memory, environment.
var runtimeFunctions = map[string]function{
	"abort":     abort,
	"_abort_js": abort,
	"exit":      exit,
	"proc_exit": exit,
	"__assert_fail": func(h *host, s []uint64) error {
		text, err := h.text(s[0])
		if err != nil {
			return err
		}
		return &vm.TrapError{Reason: fmt.Sprintf("assertion failed: %.200s", text)}
	},
	"getTempRet0": func(h *host, s []uint64) error {
		s[0] = h.state.tempRet
		return nil
	},
	"setTempRet0": func(h *host, s []uint64) error {
		h.state.tempRet = s[0]
		return nil
	},
	"emscripten_resize_heap":   resizeHeap,
	"emscripten_get_heap_max":  func(h *host, s []uint64) error { s[0] = h.module.how.heapBytesMax; return nil },
	"metering_gasUsed":         answer(0),
	"emscripten_err":           func(*host, []uint64) error { return nil },
	"emscripten_notify_memory": func(*host, []uint64) error { return nil },
	// A shell is no part of a process.
	"system":             noShell,
	"_emscripten_system": noShell,
	"environ_sizes_get":  environSizes,
	"environ_get":        environGet,
	"_dlinit":            answer(0),
	"_dlopen_js":         answer(0),
	"_dlsym_js":          answer(0),
}

func abort(*host, []uint64) error {
	return &vm.TrapError{Reason: "Aborted(native code called abort())"}
}

func exit(_ *host, s []uint64) error { return exitError{int32(uint32(s[0]))} }

// noShell says that there is none: 0 when asked whether there is, and failure
// when told to run something.
func noShell(_ *host, s []uint64) error {
	if s[0] == 0 {
		return give(s, 0)
	}
	return give(s, -1)
}

// resizeHeap grows the memory as emscripten's glue does: a fifth more than
// before or 96 MiB more than asked for, whichever is less, and with less
// generosity if that fails. The sizes are visible in memory images.
func resizeHeap(h *host, s []uint64) error {
	const (
		generosityMax = 100_663_296
		page          = 65_536
	)
	have, want := float64(len(h.instance.Memory())), float64(s[0])
	if want > float64(h.module.how.heapBytesMax) {
		h.memoryRefused = true
		return give(s, 0)
	}
	for cut := 1.0; cut <= 4; cut *= 2 {
		size := math.Max(want, math.Min(have*(1+0.2/cut), want+generosityMax))
		size = math.Min(float64(h.module.how.heapBytesMax), size+math.Mod(page-math.Mod(size, page), page))
		if size <= float64(h.memoryBytesMax) && h.instance.Grow(uint64((size-have+page-1)/page)) {
			return give(s, 1)
		}
	}
	h.memoryRefused = true
	return give(s, 0)
}

// environment is what the glue of old formats shows.
func (h *host) environment() []string {
	if !h.module.how.environment {
		return nil
	}
	return []string{
		"USER=web_user", "LOGNAME=web_user", "PATH=/", "PWD=/", "HOME=/home/web_user", "LANG=C.UTF-8", "_=" + programName,
	}
}

func environSizes(h *host, s []uint64) error {
	var size uint64
	for _, variable := range h.environment() {
		size += uint64(len(variable)) + 1
	}
	if err := h.writePointer(s[0], uint64(len(h.environment()))); err != nil {
		return err
	}
	if err := h.writePointer(s[1], size); err != nil {
		return err
	}
	return give(s, 0)
}

func environGet(h *host, s []uint64) error {
	list, text := s[0], s[1]
	for _, variable := range h.environment() {
		if err := h.writePointer(list, text); err != nil {
			return err
		}
		if err := h.writeText(text, []byte(variable)); err != nil {
			return err
		}
		list += h.pointerBytes()
		text += uint64(len(variable)) + 1
	}
	return give(s, 0)
}
