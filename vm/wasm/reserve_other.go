//go:build unix && !linux

package wasm

func avoidHugePages([]byte) {}
