package plugin_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

const (
	// evaluationsDefault is how many generated messages run on every compiler;
	// WALLABY_EVALUATIONS changes it.
	evaluationsDefault = 10_000
	// ownEvaluations is how many large ones run on our own runtime of Lua.
	ownEvaluations = 100
	// largeShare is how many others there are for each of those with large data, which
	// takes that much longer.
	largeShare = 4
	// meteredShare is how many others there are for each whose gas is counted by ao's
	// table, which takes twice as long.
	meteredShare = 4
	// The interpreter is fifty times slower. Of the histories on aos modules, which it
	// takes seconds to boot, it runs one, of those on our own runtime all, and of a
	// history the first interpretedMax messages, unless WALLABY_INTERPRETED says more;
	// of the batteries the first batteryMax, but all on one module.
	interpretedMax = 40
	batteryMax     = 16
)

// contenders are all engines: the compiler and the interpreter of wazero, and
// the plugins that make plugins builds.
func contenders(t *testing.T, interpreted int) []vmtest.Contender {
	t.Helper()
	cache := filepath.Join(os.TempDir(), "wallaby-test-cache")
	return contendersOf(t, interpreted, cache, cache+"-plugins")
}

// contendersOf keeps compiled code in directories, if they are not "": those of
// plugins in one of their own.
func contendersOf(t *testing.T, interpreted int, cache, pluginCache string) []vmtest.Contender {
	t.Helper()
	var list []vmtest.Contender
	add := func(driver vm.Driver, err error, most int) {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := driver.Close(); err != nil {
				t.Error(err)
			}
		})
		list = append(list, vmtest.Contender{Driver: driver, Most: most})
	}
	compiler, err := wazero.NewDriver(wazero.Options{CacheDir: cache})
	add(compiler, err, 0)
	interpreter, err := wazero.NewDriver(wazero.Options{Interpreter: true})
	add(interpreter, err, interpreted)
	for _, name := range []string{"wasmer", "wasmtime"} {
		path := filepath.Join("..", "..", "bin", "wallaby-vm-"+name)
		if _, err := os.Stat(path); err != nil {
			t.Skipf("SKIPPED: %s is missing, so %s is not compared: run make plugins, which needs a C compiler", path, name)
		}
		add(plugin.New(plugin.Options{Path: path, CacheDir: pluginCache, Warn: func(text string) { t.Log(text) }}), nil, 0)
	}
	return list
}

// lengthOf gives the length of a history where one with large data has so many messages.
func lengthOf(kind string, large int) int {
	if kind == "large" {
		return large
	}
	return large * largeShare
}

// compilersOf leaves the interpreter out.
func compilersOf(all []vmtest.Contender) []vmtest.Contender {
	return []vmtest.Contender{all[0], all[2], all[3]}
}

func source(t *testing.T, name, format string) vm.Source {
	t.Helper()
	b, err := os.ReadFile(vmtest.ModulePath(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return vm.Source{Format: format, Bytes: b}
}

// number reads an environment variable.
func number(t *testing.T, name string, standard int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("%s=%q is no number of messages", name, text)
	}
	return n
}

// TestEnginesAreEqual runs what real modules do on every engine: results, gas and
// states must be the same bytes.
func TestEnginesAreEqual(t *testing.T) {
	t.Parallel()
	for _, module := range []struct{ file, format string }{
		{"aos.wasm", wasm.FormatWasm64},
		{"process.wasm", wasm.FormatWasm64},
		{"aos2_0_1.wasm", wasm.FormatWasm64},
		{"aos2_0_3.wasm", wasm.FormatWasm64},
		{"aos2_0_6.wasm", wasm.FormatWasm64},
		{"aos2_0_6.wasm", wasm.FormatMetered64},
		{"aos2_0_4_32.wasm", wasm.FormatEmscripten4},
		{"aos2_0_4_32.wasm", wasm.FormatMetered32},
	} {
		t.Run(module.file+" "+module.format, func(t *testing.T) {
			t.Parallel()
			most := batteryMax
			if module.file == "aos2_0_6.wasm" && module.format == wasm.FormatWasm64 {
				most = 0
			}
			all := contenders(t, most)
			if module.format == wasm.FormatMetered64 || module.format == wasm.FormatMetered32 {
				all = compilersOf(all) // the interpreter has run this module without exact gas
			}
			s := source(t, module.file, module.format)
			vmtest.Equal(t, all, s, vmtest.AosBattery())
			vmtest.Equal(t, all, s, vmtest.DeepCalls())
		})
	}
}

// TestEnginesFailAlike runs a module into every trap and limit there is.
func TestEnginesFailAlike(t *testing.T) {
	t.Parallel()
	const enough = 300_000_000
	for _, format := range wasm.Formats() {
		t.Run(format, func(t *testing.T) {
			vmtest.EqualWithin(t, contenders(t, 0), vm.Source{Format: format, Bytes: vmtest.Guest()}, vmtest.GuestCommands(), enough)
		})
	}
}

// TestStatesMoveBetweenEngines has each engine go on from the state of the one
// before, for a thousand messages.
func TestStatesMoveBetweenEngines(t *testing.T) {
	t.Parallel()
	all := contenders(t, 0)
	vmtest.Relay(t, append(compilersOf(all), all[0]), source(t, "aos2_0_6.wasm", wasm.FormatWasm64), vmtest.Generate("token", 9, 4000))
	vmtest.Relay(t, all, source(t, "aos2_0_4_32.wasm", wasm.FormatEmscripten4), vmtest.AosBattery()[:batteryMax])
}

// TestEnginesAreEqualOnSqlite runs the module with vector instructions, some of
// which wasmer 2.0 does not know: it says so and runs nothing.
func TestEnginesAreEqualOnSqlite(t *testing.T) {
	t.Parallel()
	s := source(t, "sqlite.wasm", wasm.FormatWasm64)
	var able []vmtest.Contender
	for _, c := range contenders(t, batteryMax) {
		_, err := c.Driver.Load(t.Context(), s)
		if _, refused := errors.AsType[*vm.UnsupportedError](err); refused && c.Driver.Name() == "wasmer" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		able = append(able, c)
	}
	if len(able) != 3 {
		t.Errorf("%d engines run sqlite", len(able))
	}
	messages := vmtest.AosBattery()[:batteryMax]
	for i, lua := range []string{
		`local sqlite = require("lsqlite3"); DB = sqlite.open_memory(); return DB:exec("create table t (id integer primary key, name text, amount real)")`,
		`for i = 1, 50 do DB:exec(string.format("insert into t (name, amount) values ('n%d', %d / 3.0)", i, i)) end; return DB:total_changes()`,
		`local n = 0; for row in DB:nrows("select name, sum(amount) as s from t group by length(name) order by s desc") do n = n + row.s end; return n`,
	} {
		messages = append(messages, vmtest.Eval(1000+i, lua))
	}
	vmtest.Equal(t, able, s, messages)
}

// TestEnginesAreEqualOverLongHistories runs generated histories on aos modules.
func TestEnginesAreEqualOverLongHistories(t *testing.T) {
	t.Parallel()
	evaluations := number(t, "WALLABY_EVALUATIONS", evaluationsDefault)
	interpreted := number(t, "WALLABY_INTERPRETED", interpretedMax)
	kinds := vmtest.Generators()
	const histories = 4 // of each kind, one of them metered
	each := evaluations*meteredShare/((histories-1)*meteredShare+1)/(len(kinds)*largeShare-largeShare+1) + 1
	var total atomic.Int64
	t.Cleanup(func() { t.Logf("%d evaluations on each compiler", total.Load()) })
	for i, kind := range kinds {
		for seed := range uint64(histories) {
			t.Run(fmt.Sprintf("%s %d", kind, seed), func(t *testing.T) {
				t.Parallel()
				module, format, messages := "aos2_0_6.wasm", wasm.FormatWasm64, lengthOf(kind, each)
				switch seed {
				case 1:
					format, messages = wasm.FormatMetered64, messages/meteredShare+1
				case 2:
					module, format = "aos2_0_4_32.wasm", wasm.FormatEmscripten4
				case 3:
					module = "aos2_0_3.wasm"
				}
				all := contenders(t, interpreted)
				if i > 0 || seed > 0 {
					all = compilersOf(all)
				}
				total.Add(int64(vmtest.Equal(t, all, source(t, module, format), vmtest.Generate(kind, seed, messages))))
			})
		}
	}
}

// TestEnginesAreEqualOnOurRuntime runs generated histories on Wallaby's own runtime of Lua.
func TestEnginesAreEqualOnOurRuntime(t *testing.T) {
	t.Parallel()
	runtime, err := lua.Runtime()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	module, err := lua.Module(runtime, lua.Files{"process": []byte("Started = true")})
	if err != nil {
		t.Fatal(err)
	}
	interpreted := number(t, "WALLABY_INTERPRETED", interpretedMax)
	for _, kind := range vmtest.Generators() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			all := contenders(t, lengthOf(kind, interpreted)/largeShare)
			vmtest.Equal(t, all, vm.Source{Format: lua.Format, Bytes: module}, vmtest.Generate(kind, 4, lengthOf(kind, ownEvaluations)))
		})
	}
}
