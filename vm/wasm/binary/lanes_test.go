package binary

import (
	"bytes"
	"fmt"
	"testing"
)

// TestLanesAreReplaced puts a NaN of other bits than the one NaN into each lane: it
// keeps them, and the other lane.
func TestLanesAreReplaced(t *testing.T) {
	const odd = 0x7ff4_0000_0001_2345
	e := emitter{}
	e.v128(11, 22)
	var fns []fn
	for lane := range byte(2) {
		for n := range byte(2) {
			fns = append(fns, fn{results: []byte{I64}, export: fmt.Sprint(lane, n), body: join(
				e.b, f64c(odd), ops(prefixSIMD, 34, lane), ops(prefixSIMD, 29, n))})
		}
	}
	p := mustPrepare(t, assemble(fns, nil), PrepareOptions{})
	if bytes.Contains(p.Wasm, []byte{prefixSIMD, 34, 0}) || bytes.Contains(p.Wasm, []byte{prefixSIMD, 34, 1}) {
		t.Error("the instruction is still there")
	}
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		for name, want := range map[string]uint64{"0 0": odd, "0 1": 22, "1 0": 11, "1 1": odd} {
			if got := in.call(name); got != want {
				t.Errorf("lane and look %s: %#x, want %#x", name, got, want)
			}
		}
	})
}
