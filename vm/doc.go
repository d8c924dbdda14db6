// Package vm is the contract between the node and a virtual machine: a Driver
// loads a module, a Module makes processes, a Process handles messages one at
// a time and can be rolled back, snapshotted and forked.
//
// Nothing here speaks of memory, pages or pointers, so that a wasm engine, an
// EVM or a native interpreter all fit. The same module, the same messages and
// the same limits give the same output bytes on every driver.
package vm
