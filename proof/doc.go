// Package proof owns proofs of results: a file that says what a process answered to a
// message, with all that a stranger needs to find out whether that is so
// (docs/formats/aoproof.md).
//
// It promises that a proof has one form: what is in it is signed, or follows from
// what is, or is what the proof says and a replay finds out. It replays nothing; that
// is node's. It asks nobody.
package proof
