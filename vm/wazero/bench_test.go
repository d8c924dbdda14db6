package wazero_test

import (
	"fmt"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

var workloads = []struct{ name, lua string }{
	{"trivial", `return 1 + 1`},
	{"send", `ao.send({ Target = "x", Action = "Hello", Data = "data" }); return "ok"`},
	{"loop1e5", `local n = 0; for i = 1, 1e5 do n = n + i % 7 end; return n`},
	{"pcall1e3", `local n = 0; for i = 1, 1e3 do if not pcall(error, "x") then n = n + 1 end end; return n`},
}

func BenchmarkEval(b *testing.B) {
	for _, work := range workloads {
		b.Run(work.name, func(b *testing.B) {
			p := vmtest.Start(b, newDriver(b), vmtest.ModulePath(b, "aos2_0_6.wasm"), wasm.FormatWasm64)
			handle := func(message []byte) {
				if _, err := p.Handle(b.Context(), vm.Call{Message: message, Env: vmtest.Env(), GasLimit: vmtest.GasLimit}); err != nil {
					b.Fatal(err)
				}
			}
			handle(vmtest.Boot())
			for n := 1; b.Loop(); n++ {
				handle(vmtest.Eval(n, work.lua))
			}
		})
	}
}

// BenchmarkEvalReference measures the reference loader on the same work, by its
// own clock.
func BenchmarkEvalReference(b *testing.B) {
	for _, work := range workloads {
		b.Run(work.name, func(b *testing.B) {
			o := vmtest.StartOracle(b, vmtest.OracleOptions{
				Module: vmtest.ModulePath(b, "aos2_0_6.wasm"), Format: wasm.FormatWasm64, GasLimit: vmtest.GasLimit, KeepMemory: true,
			})
			handle := func(message []byte) float64 {
				reply, err := o.Handle(message, vmtest.Env())
				if err != nil || reply.Thrown != "" {
					b.Fatal(fmt.Errorf("%w %s", err, reply.Thrown))
				}
				return reply.Microseconds
			}
			handle(vmtest.Boot())
			var total float64
			n := 1
			for ; b.Loop(); n++ {
				total += handle(vmtest.Eval(n, work.lua))
			}
			b.ReportMetric(1e3*total/float64(n-1), "loader-ns/op")
		})
	}
}

// BenchmarkAround measures what surrounds evaluations.
func BenchmarkAround(b *testing.B) {
	newProcess := func(b *testing.B) vm.Process {
		p := vmtest.Start(b, newDriver(b), vmtest.ModulePath(b, "aos2_0_6.wasm"), wasm.FormatWasm64)
		for _, message := range vmtest.AosBattery()[:12] {
			if _, err := p.Handle(b.Context(), vm.Call{Message: message, Env: vmtest.Env(), GasLimit: vmtest.GasLimit}); err != nil {
				b.Fatal(err)
			}
		}
		return p
	}
	b.Run("rollback", func(b *testing.B) {
		p := newProcess(b)
		for n := 1; b.Loop(); n++ {
			if _, err := p.Handle(b.Context(), vm.Call{Message: vmtest.Eval(n, `error("x")`), Env: vmtest.Env()}); err != nil {
				b.Fatal(err)
			}
			if err := p.Rollback(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("fork", func(b *testing.B) {
		p := newProcess(b)
		for b.Loop() {
			fork, err := p.Fork(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if err := fork.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		p := newProcess(b)
		for b.Loop() {
			vmtest.TakeSnapshot(b, p)
		}
	})
}
