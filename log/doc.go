// Package log owns order: the contract that every log of a node fulfils, the
// pure sequencer that gives each message its nonce, hash chain and timestamp,
// and the durable ledger (append-only segments, tip guard, index) beneath it.
//
// It promises that an acknowledged entry keeps its place for ever, that there
// are no gaps, and that damage is detected and named instead of served. It
// does not decide which nodes agree (package raft) and runs nothing (package
// engine).
package log
