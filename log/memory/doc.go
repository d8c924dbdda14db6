// Package memory is a log without a disk, in which nothing but its fields is random or
// takes time: for trials of processes, and for tests of what lies above a log.
package memory
