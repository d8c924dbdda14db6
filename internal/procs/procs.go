// Package procs knows how many cores a program may use, and gives Go's scheduler
// more processors than that.
package procs

import (
	"os"
	"runtime"
)

// cores is what the runtime found at start: the machine's, or a container's
// share of them.
var cores = runtime.GOMAXPROCS(0)

// Cores is how much can be computed at once.
func Cores() int { return cores }

// Spare gives the scheduler factor times as many processors as there are cores,
// unless GOMAXPROCS is set in the environment. A flush of a file holds a
// processor until the runtime notices, which may take milliseconds: with as many
// processors as cores, as many flushes at once stop the whole program.
func Spare(factor int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(factor * cores)
	}
}
