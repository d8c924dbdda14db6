// Package logtest holds the suite that every log.Log passes, an in-memory log
// for tests of what lies above, and makers of signed items. Only tests, the
// simulator and benchmarks import it.
package logtest
