//go:build mutant

package log

const tipGuard = false
