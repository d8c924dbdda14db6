// Package history owns history files: one process's log as it was signed, in a
// file that a stranger can check (docs/formats/aolog.md).
//
// It writes and reads the format, checks what is in it, and presents a file as a
// log. It promises that damage is named and never mended silently, that one fault
// does not hide the next, and that reading allocates no more than there is to
// read. It asks nobody: where a history comes from is a Source, which package
// http has for schedulers and nodes.
package history
