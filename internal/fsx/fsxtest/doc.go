// Package fsxtest is a disk in memory for crash tests: it keeps what was
// flushed apart from what was only written, fails where it is told to, and
// gives the images that a power cut may leave.
package fsxtest
