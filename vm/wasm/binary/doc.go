// Package binary reads, rewrites and writes WebAssembly modules.
//
// Prepare turns a published ao module into one that every engine can run with
// equal results: names are restored, gas is counted, NaNs have one sign,
// 64-bit memories become 32-bit ones, longjmp needs no host, state is exported,
// and memory is capped. The published bytes are never changed; the fingerprint
// of what runs covers them and the version of every pass.
//
// It runs nothing and trusts nothing: a malformed module gives an error.
package binary
