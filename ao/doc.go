// Package ao holds the nouns of the ao data protocol: ids, processes,
// messages, assignments, results and error codes, with the tag names and the
// checks that every unit shares.
//
// It does no I/O and keeps no state; each rule names the part of the protocol
// it comes from.
package ao
