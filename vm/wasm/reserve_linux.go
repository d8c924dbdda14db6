//go:build linux

package wasm

import "golang.org/x/sys/unix"

// avoidHugePages keeps one touched byte from costing two megabytes.
func avoidHugePages(b []byte) { _ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) }
