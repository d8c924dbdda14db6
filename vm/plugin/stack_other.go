//go:build !linux

package plugin

func raiseStack() {}
