// Package logtest holds the suite that every log.Log passes, and makers of signed
// items. Only tests, the simulator and benchmarks import it.
package logtest
