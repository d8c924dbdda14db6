//go:build !embedruntime

package lua

// embedded is the runtime in programs that are built with the tag embedruntime.
var embedded []byte
