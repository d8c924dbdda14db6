package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// aosOptions gives an engine a real aos module as module 1.
func aosOptions(tb testing.TB, log aolog.Log) Options {
	tb.Helper()
	code, err := os.ReadFile(filepath.Join("..", "testdata", "modules", "aos2_0_6.wasm"))
	if err != nil {
		tb.Skipf("SKIPPED: a real aos module is not here (%v): run make modules, which needs npm", err)
	}
	driver, err := wazero.NewDriver(wazero.Options{CacheDir: filepath.Join(os.TempDir(), "wallaby-test-cache")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { driver.Close() })
	tags := append(dataitem.Tags{{Name: ao.TagModuleFormat, Value: wasm.FormatWasm64}}, testTags[1:]...)
	return Options{
		Log: log, Drivers: []vm.Driver{driver},
		Modules: moduleMap{{1}: {ID: ao.ID{1}, Owner: "module-owner", Tags: tags, Bytes: code}},
	}
}

// aosHistory makes a process and n messages for it.
func aosHistory(tb testing.TB, log *memory.Log, name string, n int, code func(i int) string) (process ao.ID) {
	tb.Helper()
	signer := logtest.Signer(tb, 1)
	item := logtest.ProcessItem(tb, signer, name)
	add := func(item *dataitem.Item) {
		if _, _, err := log.Append(tb.Context(), aolog.Proposal{Item: item}); err != nil {
			tb.Fatal(err)
		}
	}
	add(item)
	for i := range n {
		add(logtest.MessageItem(tb, signer, item.ID(), code(i),
			dataitem.Tag{Name: "Action", Value: "Eval"}, dataitem.Tag{Name: "N", Value: fmt.Sprint(i)}))
	}
	return item.ID()
}

// TestAosProcessesAreEvictedAndComeBack checks that real processes go on from
// their snapshots as if they had never been away.
func TestAosProcessesAreEvictedAndComeBack(t *testing.T) {
	log := memory.New(logtest.Signer(t, 1), time.Now)
	options := aosOptions(t, log)
	var processes []ao.ID
	for i := range 3 {
		processes = append(processes, aosHistory(t, log, fmt.Sprint("p", i), 12, func(n int) string {
			switch n % 4 {
			case 0:
				return fmt.Sprintf("X = (X or 0) + %d; T = T or {}; T['k' .. X] = X; return X", n+i)
			case 1:
				return "local s = '' for k in pairs(T) do s = s .. k end return s"
			case 2:
				return "X = 0; error('no')"
			}
			return "ao.send({Target = ao.id, Data = tostring(X)}); return require('json').encode(T)"
		}))
	}
	results := func(change func(*Options)) (all []string) {
		changed := options
		changed.DB = openDB(t, t.TempDir())
		change(&changed)
		e, err := Open(t.Context(), changed)
		if err != nil {
			t.Fatal(err)
		}
		for nonce := range uint64(13) {
			for _, process := range processes {
				evaluation, err := e.ResultAt(t.Context(), process, nonce)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, string(evaluation.Result.JSON()))
			}
		}
		if status := e.Status(); status.DivergencesTotal > 0 {
			t.Errorf("status is %+v", status)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := changed.DB.Close(); err != nil {
			t.Error(err)
		}
		return all
	}
	hot := results(func(*Options) {})
	// Every turn ends with an eviction, and a snapshot is always worth it.
	cold := results(func(o *Options) {
		o.Workers, o.HotBytesMax, o.SnapshotWorthMS, o.SnapshotAfterMS = 1, 1, 1, 1
	})
	for i := range hot {
		if hot[i] != cold[i] {
			t.Errorf("result %d is %s when hot and %s after an eviction", i, hot[i], cold[i])
		}
	}
}

// BenchmarkReplay measures a message of a long history of trivial Evals.
func BenchmarkReplay(b *testing.B) {
	log := memory.New(logtest.Signer(b, 1), time.Now)
	options := aosOptions(b, log)
	process := aosHistory(b, log, "replay", b.N, func(i int) string { return fmt.Sprintf("return %d", i) })
	options.DB = openDB(b, b.TempDir())
	defer options.DB.Close()
	b.ResetTimer()
	e, err := Open(b.Context(), options)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := e.ResultAt(b.Context(), process, uint64(b.N)); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}
