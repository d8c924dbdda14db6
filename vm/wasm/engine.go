package wasm

import (
	"context"

	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// Engine compiles and runs plain WebAssembly: one memory of 32-bit addresses,
// numbers as parameters.
type Engine interface {
	// Name is the engine's name, e.g. "wazero".
	Name() string
	// Memory64 reports whether 64-bit memories run as they are.
	Memory64() bool
	// Compile compiles a prepared module whose imports are given in order. It
	// may keep compiled code under the fingerprint.
	Compile(ctx context.Context, wasm []byte, imports []Import, fingerprint [32]byte) (Code, error)
	Close() error
}

// Import is a function that a module imports.
type Import = binary.ImportedFunc

// Code is a compiled module, safe for concurrent use. It lives as long as its
// engine.
type Code interface {
	// Instantiate makes an instance with its memory initialised and no export
	// run; imports has a body for each of the module's imports, in their order.
	// The memory never grows over memoryBytesMax.
	Instantiate(ctx context.Context, imports []HostFunc, memoryBytesMax uint64) (Instance, error)
}

// HostFunc is the body of an import. It finds its parameters in stack, with the
// unused bits of 32-bit ones cleared, and leaves its result in stack[0]. It never
// fails: a guest that is to stop is told so by a global.
type HostFunc func(stack []uint64)

// Instance is a live module. One goroutine uses it at a time.
type Instance interface {
	// Call calls an export that gives at most one result. A context that ends
	// does not end the call: the guest asks its host for gas again and again, and
	// ends when it gets none.
	Call(ctx context.Context, name string, args ...uint64) (uint64, error)
	// Memory is a view of the memory, valid until the next Call or Grow.
	Memory() []byte
	// Touched marks the pages of 4 KiB that may hold anything but zeros, or is nil
	// when the engine cannot tell.
	Touched() []bool
	// Grow adds pages of 64 KiB and reports whether it could.
	Grow(pages uint64) bool
	// Global reads an exported global.
	Global(name string) (uint64, bool)
	// SetGlobal writes an exported mutable global.
	SetGlobal(name string, value uint64) error
	Close() error
}
