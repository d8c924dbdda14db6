//go:build linux

package binary

import (
	"runtime"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/unix"
)

// steps are the passes of a preparation, to leave some out.
type steps struct {
	noFold, noNaN, noLongjmp, noStack bool
	metering                          Metering
}

func (s steps) prepare(tb testing.TB, wasm []byte) []byte {
	tb.Helper()
	m, err := Decode(wasm)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := m.check(); err != nil {
		tb.Fatal(err)
	}
	if s.metering == MeteringExact {
		m.meterExact()
	}
	if !s.noFold {
		m.foldAsyncify()
	}
	if s.metering == MeteringBudget {
		m.meterBudget()
	}
	if !s.noNaN {
		m.canonicalizeNaN()
	}
	if m.isMemory64() {
		if err := m.lowerMemory64(); err != nil {
			tb.Fatal(err)
		}
	}
	if !s.noLongjmp {
		if err := m.internalizeLongjmp(); err != nil {
			tb.Fatal(err)
		}
	}
	if !s.noStack {
		m.meterStack()
	}
	m.exportGlobals()
	return m.Encode()
}

var benchWork = []struct{ name, lua string }{
	{"trivial", `return 1 + 1`},
	{"loop1e5", `local n = 0; for i = 1, 1e5 do n = n + i % 7 end; return n`},
	{"float1e5", `local n = 0.5; for i = 1, 1e5 do n = n * 1.01 / 1.02 + 0.1 - n end; return n`},
	{"table1e4", `local t = {}; for i = 1, 1e4 do t["k" .. i % 997] = i end; local n = 0; for k, v in pairs(t) do n = n + #k + v end; return n`},
	{"sha", `local n = 0; for i = 1, 3 do n = n + #require(".crypto").digest.sha2_256(string.rep("x", 200)).asHex() end; return n`},
}

var benchVariants = []struct {
	name string
	s    steps
}{
	{"all", steps{metering: MeteringBudget}},
	{"no-metering", steps{}},
	{"exact", steps{metering: MeteringExact}},
	{"no-nan", steps{metering: MeteringBudget, noNaN: true}},
	{"no-longjmp", steps{metering: MeteringBudget, noLongjmp: true}},
	{"no-fold", steps{metering: MeteringBudget, noFold: true}},
	{"no-stack", steps{metering: MeteringBudget, noStack: true}},
	{"bare", steps{noNaN: true, noLongjmp: true, noFold: true, noStack: true}},
}

// BenchmarkPasses shows what each pass costs aos on wazero. The variants take
// turns and the least of the times of their thread counts, so that a busy
// machine changes little.
func BenchmarkPasses(b *testing.B) {
	wasm := readModule(b, "aos2_0_6.wasm")
	guests := make([]*guest, len(benchVariants))
	for i, variant := range benchVariants {
		guests[i] = newGuest(b, variant.s.prepare(b, wasm), wazero.NewRuntimeConfigCompiler())
		guests[i].boot()
	}
	for _, work := range benchWork {
		b.Run(work.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			least := make([]time.Duration, len(guests))
			for b.Loop() {
				for i, g := range guests {
					if benchVariants[i].s.metering != MeteringNone {
						g.setGlobal(GasExport, 1<<62)
					}
					before := threadTime(b)
					g.eval(work.lua)
					if took := threadTime(b) - before; least[i] == 0 || took < least[i] {
						least[i] = took
					}
				}
			}
			for i, variant := range benchVariants {
				b.ReportMetric(float64(least[i].Microseconds()), variant.name+"-us")
			}
		})
	}
}

func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkPrepare shows what preparing costs.
func BenchmarkPrepare(b *testing.B) {
	wasm := readModule(b, "aos2_0_6.wasm")
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		if _, err := Prepare(wasm, PrepareOptions{Metering: MeteringBudget, Lower64: true}); err != nil {
			b.Fatal(err)
		}
	}
}
