package plugin

import (
	"os"
	"syscall"
)

const (
	// threadStackBytes is what a thread of a plugin should have for its stack.
	// Native engines run guests on it, and a prepared module may nest its calls
	// deeper than the 8 MiB that are usual allow every engine.
	threadStackBytes = 64 << 20
	stackVariable    = "WALLABY_VM_STACK"
)

// raiseStack starts the program anew with larger stacks, once: the C library
// takes the size of its threads' from the limit at the start.
func raiseStack() {
	var limit syscall.Rlimit
	if os.Getenv(stackVariable) != "" || syscall.Getrlimit(syscall.RLIMIT_STACK, &limit) != nil || limit.Cur >= threadStackBytes {
		return
	}
	limit.Cur = min(threadStackBytes, limit.Max)
	self, err := os.Executable()
	if err != nil || syscall.Setrlimit(syscall.RLIMIT_STACK, &limit) != nil || os.Setenv(stackVariable, "raised") != nil {
		return
	}
	_ = syscall.Exec(self, os.Args, os.Environ()) // or go on with what there is
}
