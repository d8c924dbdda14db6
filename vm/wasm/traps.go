package wasm

// The reasons of traps. Engines word them differently, and the reason is part of
// a result, so every engine translates to these.
const (
	TrapUnreachable   = "unreachable"
	TrapMemory        = "out of bounds memory access"
	TrapTable         = "invalid table access"
	TrapSignature     = "indirect call type mismatch"
	TrapOverflow      = "integer overflow"
	TrapDivide        = "integer divide by zero"
	TrapConversion    = "invalid conversion to integer"
	TrapStackOverflow = "stack overflow"
)
