// Package testport finds ports for nodes of tests that must know their ports before they
// listen. Port 0 does not do for those: the kernel gives what was free a moment ago to the
// next connection that somebody makes.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports are sought below those that Linux gives to connections (from 32768 on), and above
// those that services of a machine usually have.
const (
	lowest = 12_000
	beyond = 32_000
	tries  = 500
)

// Free gives the first of so many ports in a row of 127.0.0.1 that nobody listens on. Another
// process may take them before the caller does, if it seeks in the same place; it is unlikely.
func Free(t testing.TB, count int) (first int) {
	t.Helper()
	for range tries {
		first = lowest + rand.IntN(beyond-lowest-count)
		if free(first, count) {
			return first
		}
	}
	t.Fatalf("there are no %d free ports in a row", count)
	return 0
}

// Address gives one such port with its host.
func Address(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Free(t, 1))
}

func free(first, count int) bool {
	for port := first; port < first+count; port++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}
