// Package dataitem turns ANS-104 bytes into data items and back: parsing,
// tags, the deep hash, signing, verification and bundles.
//
// It owns the signed bytes and nothing else: it does no I/O, knows nothing of
// processes, and keeps the raw bytes it was given, so that an item is always
// verified over exactly what its owner signed. Every length is checked against
// what remains before it is used, and memory is bounded by the input's size.
package dataitem
