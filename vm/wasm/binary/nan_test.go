package binary

import (
	"fmt"
	"math"
	"testing"
)

// TestNaNsAreOne runs every instruction that can make a NaN on operands that
// make it do so, with NaNs of other bits among them.
func TestNaNsAreOne(t *testing.T) {
	const (
		odd32, odd64 = 0x7fa12345, 0x7ff4000000012345
		inf32        = 0x7f800000
		zero         = 0
	)
	inf64 := math.Float64bits(math.Inf(1))
	var fns []fn
	want := map[string]uint64{}
	add := func(name string, result byte, value uint64, body ...[]byte) {
		fns = append(fns, fn{results: []byte{result}, export: name, body: join(body...)})
		want[name] = value
	}
	for op := byte(0x8d); op <= 0x91; op++ { // ceil floor trunc nearest sqrt
		add(fmt.Sprintf("f32 %#x", op), F32, nan32, f32c(odd32), ops(op))
		add(fmt.Sprintf("f64 %#x", op+14), F64, nan64, f64c(odd64), ops(op+14))
	}
	for op := byte(0x92); op <= 0x97; op++ { // add sub mul div min max
		add(fmt.Sprintf("f32 %#x", op), F32, nan32, f32c(odd32), f32c(0x3f800000), ops(op))
		add(fmt.Sprintf("f32 %#x right", op), F32, nan32, f32c(0xffffffff), f32c(odd32), ops(op))
		add(fmt.Sprintf("f64 %#x", op+14), F64, nan64, f64c(odd64), f64c(zero), ops(op+14))
		add(fmt.Sprintf("f64 %#x right", op+14), F64, nan64, f64c(nan64|1), f64c(odd64), ops(op+14))
	}
	add("sqrt -1", F64, nan64, f64c(math.Float64bits(-1)), ops(0x9f))
	add("0/0", F64, nan64, f64c(zero), f64c(zero), ops(0xa3))
	add("0/0 f32", F32, nan32, f32c(zero), f32c(zero), ops(0x95))
	add("inf-inf", F64, nan64, f64c(inf64), f64c(inf64), ops(0xa1))
	add("inf-inf f32", F32, nan32, f32c(inf32), f32c(inf32), ops(0x93))
	add("0*inf", F64, nan64, f64c(zero), f64c(inf64), ops(0xa2))
	add("demote", F32, nan32, f64c(odd64), ops(0xb6))
	add("promote", F64, nan64, f32c(odd32), ops(0xbb))
	// What is no NaN stays, and what only moves bits keeps them.
	add("1+2", F64, math.Float64bits(3), f64c(math.Float64bits(1)), f64c(math.Float64bits(2)), ops(0xa0))
	add("-0", F64, 1<<63, f64c(1<<63), ops(0x9b))
	add("neg", F64, odd64|1<<63, f64c(odd64), ops(0x9a))
	add("copysign", F64, odd64|1<<63, f64c(odd64), f64c(1<<63), ops(0xa6))
	add("constant", F64, odd64, f64c(odd64))
	onEngines(t, mustPrepare(t, assemble(fns, nil), PrepareOptions{}).Wasm, func(t *testing.T, in *instance) {
		for name, value := range want {
			if got := in.call(name); got != value {
				t.Errorf("%s = %#x, want %#x", name, got, value)
			}
		}
	})
}

func TestNaNsInVectorsAreOne(t *testing.T) {
	const odd32, odd64 = 0x7fa12345, 0x7ff4000000012345
	one := math.Float64bits(1)
	v128 := func(low, high uint64) []byte { e := emitter{}; e.v128(low, high); return e.b }
	simd := func(n uint32) []byte { return appendIndex([]byte{prefixSIMD}, n) }
	lane := func(n byte) []byte { return join(simd(29), ops(n)) } // i64x2.extract_lane
	var fns []fn
	want := map[string][2]uint64{}
	add := func(name string, low, high uint64, body ...[]byte) {
		for n := range byte(2) {
			fns = append(fns, fn{results: []byte{I64}, export: fmt.Sprint(name, n), body: join(join(body...), lane(n))})
		}
		want[name] = [2]uint64{low, high}
	}
	const both = nan32<<32 | nan32
	for _, n := range []uint32{0x67, 0x68, 0x69, 0x6a, 0xe3} {
		add(fmt.Sprintf("f32x4 %#x", n), both, nan32<<32, v128(odd32<<32|odd32, odd32<<32), simd(n))
	}
	for n := uint32(0xe4); n <= 0xe9; n++ {
		add(fmt.Sprintf("f32x4 %#x", n), both, both, v128(odd32<<32|odd32, odd32<<32|odd32), v128(0, 1), simd(n))
	}
	for _, n := range []uint32{0x74, 0x75, 0x7a, 0x94, 0xef} {
		add(fmt.Sprintf("f64x2 %#x", n), nan64, one, v128(odd64, one), simd(n))
	}
	for n := uint32(0xf0); n <= 0xf5; n++ {
		add(fmt.Sprintf("f64x2 %#x", n), nan64, nan64, v128(0, odd64), v128(odd64, 0), simd(n))
	}
	add("promote", nan64, one, v128(0x3f800000<<32|odd32, 0), simd(0x5f))
	add("demote", 0x3f800000<<32|nan32, 0, v128(odd64, one), simd(0x5e))
	p := mustPrepare(t, assemble(fns, nil), PrepareOptions{})
	if !p.Info.SIMD {
		t.Error("SIMD is not noticed")
	}
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		for name, value := range want {
			if got := [2]uint64{in.call(name + "0"), in.call(name + "1")}; got != value {
				t.Errorf("%s = %#x, want %#x", name, got, value)
			}
		}
	})
}
