package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/vm"
)

// host is what a guest sees of the world: the part of emscripten's runtime that
// ao's reference loader provides, with the same answers. Everything in it is
// deterministic, and nothing it does reaches the machine it runs on.
type host struct {
	module   *Module
	config   vm.Config
	instance Instance
	state    hostState
	fuel     fuel
	// memoryBytesMax bounds the guest's memory.
	memoryBytesMax uint64

	ctx     context.Context // of the message in hand
	failure error           // of the host function that ended the call in hand
	// memoryRefused notes that the guest asked for more memory than it may have.
	memoryRefused bool
	calledBack    bool // a host function calls the guest
	files         map[uint32]*openFile
	nextFile      uint32
	words         lastWords
}

// hostState is the host's part of a process's state.
type hostState struct {
	clockMS float64 // what the guest's clock will say next
	tempRet uint64  // the upper half of a 64-bit result
}

// clockStartMS is where the guest's clock begins; it advances by one each time
// the guest looks. The real time is no part of a process's input.
const clockStartMS = 10_000

func newHost(m *Module, config vm.Config) *host {
	return &host{module: m, config: config, state: hostState{clockMS: clockStartMS}}
}

// begin prepares for a message.
func (h *host) begin(ctx context.Context) {
	h.ctx, h.memoryRefused, h.failure = ctx, false, nil
	// Descriptors do not outlive a message: they are no part of a snapshot.
	h.files, h.nextFile = nil, firstFile
	h.words = lastWords{}
}

// isReactor says whether the module was made by a compiler of WASI's own, such as Go's.
func (h *host) isReactor() bool { return h.has(wasiReactor) && !h.has("__wasm_call_ctors") }

// pointerBytes is the size of a pointer in the guest's memory.
func (h *host) pointerBytes() uint64 { return uint64(h.module.info.PointerBits / 8) }

// errBadPointer is how a guest's impossible address ends its call.
func errBadPointer(at, n uint64) error {
	return &vm.TrapError{Reason: fmt.Sprintf("out of bounds memory access by a host function: %d bytes at %#x", n, at)}
}

// at gives n bytes of the guest's memory, or an error when they are not there.
func (h *host) at(address, n uint64) ([]byte, error) {
	memory := h.instance.Memory()
	if address > uint64(len(memory)) || n > uint64(len(memory))-address {
		return nil, errBadPointer(address, n)
	}
	return memory[address : address+n : address+n], nil
}

func (h *host) readU32(address uint64) (uint32, error) {
	b, err := h.at(address, 4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (h *host) writeU32(address uint64, value uint32) error {
	b, err := h.at(address, 4)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b, value)
	return nil
}

func (h *host) writeU64(address, value uint64) error {
	b, err := h.at(address, 8)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(b, value)
	return nil
}

func (h *host) readPointer(address uint64) (uint64, error) {
	b, err := h.at(address, h.pointerBytes())
	if err != nil {
		return 0, err
	}
	if len(b) == 8 {
		return binary.LittleEndian.Uint64(b), nil
	}
	return uint64(binary.LittleEndian.Uint32(b)), nil
}

func (h *host) writePointer(address, value uint64) error {
	if h.pointerBytes() == 8 {
		return h.writeU64(address, value)
	}
	return h.writeU32(address, uint32(value))
}

// text reads a string that ends with a zero byte.
func (h *host) text(address uint64) ([]byte, error) {
	memory := h.instance.Memory()
	if address >= uint64(len(memory)) {
		return nil, errBadPointer(address, 1)
	}
	end := bytes.IndexByte(memory[address:], 0)
	if end < 0 {
		return nil, errBadPointer(address, uint64(len(memory))-address)
	}
	return memory[address : address+uint64(end)], nil
}

// writeText writes a string with its zero byte.
func (h *host) writeText(address uint64, text []byte) error {
	b, err := h.at(address, uint64(len(text))+1)
	if err != nil {
		return err
	}
	copy(b, text)
	b[len(text)] = 0
	return nil
}

func (h *host) has(name string) bool {
	_, ok := h.module.info.Exports[name]
	return ok
}

// call calls the first of these exports that exists.
func (h *host) call(ctx context.Context, names []string, args ...uint64) (uint64, error) {
	for _, name := range names {
		if h.has(name) {
			return h.instance.Call(ctx, name, args...)
		}
	}
	return 0, fmt.Errorf("the module does not export %s", names[0])
}

var (
	stackSave    = []string{"stackSave", "emscripten_stack_get_current"}
	stackRestore = []string{"stackRestore", "_emscripten_stack_restore"}
	stackAlloc   = []string{"stackAlloc", "_emscripten_stack_alloc"}
)

// boot runs what the glue runs when it has made an instance: the stack's bounds
// and their guards, constructors, and main where the format has it.
func (h *host) boot(ctx context.Context) error {
	if h.has("emscripten_stack_init") {
		if _, err := h.instance.Call(ctx, "emscripten_stack_init"); err != nil {
			return err
		}
		if err := h.writeGuards(ctx); err != nil {
			return err
		}
	}
	for _, name := range []string{"__wasm_call_ctors", wasiReactor} {
		if !h.has(name) {
			continue
		}
		if _, err := h.instance.Call(ctx, name); err != nil {
			return err
		}
		break // a module of WASI calls its constructors itself
	}
	if !h.module.how.runsMain || !h.has("main") {
		return nil
	}
	argc, argv, err := h.programArguments(ctx)
	if err != nil {
		return err
	}
	_, err = h.instance.Call(ctx, "main", argc, argv)
	if exit, ok := errors.AsType[exitError](h.failure); ok && exit.code == 0 {
		return nil
	}
	return err
}

// writeGuards puts the values that emscripten's assertions look for at the end
// of the stack and at address 0. They are part of the memory's image.
func (h *host) writeGuards(ctx context.Context) error {
	end, err := h.instance.Call(ctx, "emscripten_stack_get_end")
	if err != nil {
		return err
	}
	if end == 0 {
		end = 4
	}
	for address, value := range map[uint64]uint32{end: 0x02135467, end + 4: 0x89bacdfe, 0: 0x63736d65} {
		if err := h.writeU32(address, value); err != nil {
			return err
		}
	}
	return nil
}

// programName stands for the script that node was started with, which a real
// compute unit shows to old modules and which differs from one to the next.
const programName = "./this.program"

func (h *host) programArguments(ctx context.Context) (argc, argv uint64, err error) {
	if !h.module.how.pushesProgram {
		return 0, 0, nil
	}
	if argv, err = h.call(ctx, stackAlloc, 8); err != nil {
		return 0, 0, err
	}
	name, err := h.call(ctx, stackAlloc, uint64(len(programName)+1))
	if err != nil {
		return 0, 0, err
	}
	if err := h.writeText(name, []byte(programName)); err != nil {
		return 0, 0, err
	}
	if err := h.writeU32(argv, uint32(name)); err != nil {
		return 0, 0, err
	}
	return 1, argv, h.writeU32(argv+4, 0)
}

// handle gives the guest a message. Both strings go on its stack, not its heap:
// their address enters Lua's hash seed and with it the order of keys.
func (h *host) handle(ctx context.Context, message, env []byte) ([]byte, error) {
	stack, err := h.call(ctx, stackSave)
	if err != nil {
		return nil, err
	}
	messageAt, err := h.push(ctx, message)
	if err != nil {
		return nil, err
	}
	envAt, err := h.push(ctx, env)
	if err != nil {
		return nil, err
	}
	answer, err := h.instance.Call(ctx, "handle", messageAt, envAt)
	if err != nil {
		return nil, err
	}
	view, err := h.text(answer)
	if err != nil {
		return nil, err
	}
	text := bytes.Clone(view)
	_, err = h.call(ctx, stackRestore, stack)
	return text, err
}

// push puts a string on the guest's stack with as much room as the format's
// glue would have taken.
func (h *host) push(ctx context.Context, text []byte) (uint64, error) {
	room := uint64(len(text)) + 1
	if h.module.how.wideStrings {
		room = 4*utf16Length(text) + 1
	}
	address, err := h.call(ctx, stackAlloc, room)
	if err != nil {
		return 0, err
	}
	return address, h.writeText(address, text)
}

// utf16Length counts the UTF-16 units of UTF-8 text.
func utf16Length(text []byte) (n uint64) {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// exitError is how a guest that calls exit ends.
type exitError struct{ code int32 }

func (e exitError) Error() string { return fmt.Sprintf("program terminated with exit(%d)", e.code) }

// hostError is a failure of the world outside, which is no result of the
// guest's: the same message may go well later.
type hostError struct{ error }

func (e hostError) Unwrap() error { return e.error }
