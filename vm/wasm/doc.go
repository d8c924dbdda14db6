// Package wasm runs ao's WebAssembly modules as vm processes on any engine.
//
// It owns everything that is not the engine: preparing modules, the emscripten
// and WASI host with the exact behaviour of the reference loader, the ABI by
// which messages go in and results come out, gas, limits, rollback and
// snapshots. An engine is three small interfaces and needs no tables, no calls
// back from host functions, no traps raised by the host and no fuel.
package wasm
