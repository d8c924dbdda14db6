package testport

import (
	"fmt"
	"net"
	"testing"
)

// TestPortsAreFree listens on what it is given, and is not given what is taken.
func TestPortsAreFree(t *testing.T) {
	first := Free(t, 10)
	for port := first; port < first+10; port++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	if first < lowest || first+10 > beyond {
		t.Errorf("port %d", first)
	}
	if free(first-3, 4) || free(first+9, 1) {
		t.Error("a port that is taken is free")
	}
}
