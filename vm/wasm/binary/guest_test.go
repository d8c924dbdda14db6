package binary

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// modulePath finds a module that make modules has fetched, or skips the test.
func modulePath(tb testing.TB, name string) string {
	tb.Helper()
	dir := os.Getenv("WALLABY_MODULES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "testdata", "modules")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("SKIPPED: module %s is not there (run make modules): %v", name, err)
	}
	return path
}

func readModule(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(modulePath(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// guest runs an aos module with just enough of emscripten's host to evaluate
// Lua, for looking at what passes do to a real module.
type guest struct {
	tb  testing.TB
	ctx context.Context
	mod api.Module
	n   int
}

// newGuest instantiates a module whose longjmp may still be the host's.
func newGuest(tb testing.TB, wasm []byte, config wazero.RuntimeConfig) *guest {
	tb.Helper()
	g := &guest{tb: tb, ctx: tb.Context()}
	runtime := wazero.NewRuntimeWithConfig(g.ctx, config)
	tb.Cleanup(func() { _ = runtime.Close(context.Background()) })
	m, err := Decode(wasm)
	if err != nil {
		tb.Fatal(err)
	}
	builders := map[string]wazero.HostModuleBuilder{}
	for _, im := range m.Imports {
		if builders[im.Module] == nil {
			builders[im.Module] = runtime.NewHostModuleBuilder(im.Module)
		}
		t := m.Types[im.Type]
		builders[im.Module].NewFunctionBuilder().WithGoModuleFunction(g.function(im.Name, len(t.Params)), t.Params, t.Results).Export(im.Name)
	}
	for _, builder := range builders {
		if _, err := builder.Instantiate(g.ctx); err != nil {
			tb.Fatal(err)
		}
	}
	if g.mod, err = runtime.InstantiateWithConfig(g.ctx, wasm, wazero.NewModuleConfig().WithStartFunctions()); err != nil {
		tb.Fatal(err)
	}
	g.call("emscripten_stack_init")
	g.call("__wasm_call_ctors")
	return g
}

type longjmpPanic struct{}

func (g *guest) function(name string, params int) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, s []uint64) {
		switch {
		case name == "emscripten_date_now":
			s[0] = api.EncodeF64(10_000)
		case name == "_emscripten_memcpy_js":
			from, _ := mod.Memory().Read(uint32(s[1]), uint32(s[2]))
			mod.Memory().Write(uint32(s[0]), from)
		case name == "emscripten_resize_heap":
			have := uint64(mod.Memory().Size())
			_, ok := mod.Memory().Grow(uint32((max(s[0], have+have/5) - have + 65535) / 65536))
			s[0] = map[bool]uint64{true: 1}[ok]
		case name == "environ_sizes_get":
			mod.Memory().WriteUint64Le(uint32(s[0]), 0)
			mod.Memory().WriteUint64Le(uint32(s[1]), 0)
			s[0] = 0
		case name == "_emscripten_throw_longjmp":
			panic(longjmpPanic{})
		case strings.HasPrefix(name, "invoke_"):
			g.invoke(mod, strings.TrimPrefix(name, "invoke_"), s[:params])
		case strings.HasPrefix(name, "__syscall_"):
			s[0] = uint64(uint32(1<<32 - 44))
		default:
			if len(s) > 0 {
				s[0] = 0
			}
		}
	}
}

// invoke does what emscripten's glue does around a setjmp.
func (g *guest) invoke(mod api.Module, suffix string, params []uint64) {
	stack := g.call("emscripten_stack_get_current")
	_, err := mod.ExportedFunction("dynCall_"+suffix).Call(g.ctx, params...)
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), "longjmpPanic") && !strings.Contains(err.Error(), "binary.longjmp") && !strings.Contains(err.Error(), "{}") {
		panic(err)
	}
	g.call("_emscripten_stack_restore", stack)
	g.call("setThrew", 1, 0)
}

func (g *guest) call(name string, args ...uint64) uint64 {
	g.tb.Helper()
	result, err := g.mod.ExportedFunction(name).Call(g.ctx, args...)
	if err != nil {
		g.tb.Fatalf("%s: %v", name, err)
	}
	if len(result) == 0 {
		return 0
	}
	return result[0]
}

func (g *guest) push(text string) uint64 {
	at := g.call("_emscripten_stack_alloc", uint64(len(text)+1))
	g.mod.Memory().WriteString(uint32(at), text+"\x00")
	return at
}

const guestProcess = "PROC0000000000000000000000000000000000000001"

// boot sends the process itself, and eval some Lua.
func (g *guest) boot() string {
	return g.handle(guestProcess, `{"name":"Type","value":"Process"}`, " ")
}

func (g *guest) eval(lua string) string {
	g.n++
	return g.handle(fmt.Sprintf("MSG%040d", g.n), `{"name":"Action","value":"Eval"}`, lua)
}

func (g *guest) handle(id, tag, data string) string {
	const owner = "OWNER000000000000000000000000000000000000001"
	message := fmt.Sprintf(`{"Id":%q,"Target":%q,"Owner":%q,"Data":%q,"Module":"M","Block-Height":"1000","From":%q,"Timestamp":1700000000000,"Cron":false,"Tags":[%s]}`,
		id, guestProcess, owner, data, owner, tag)
	env := fmt.Sprintf(`{"Process":{"Id":%q,"Owner":%q,"Tags":[{"name":"Name","value":"t"}]},"Module":{"Id":"M","Owner":%q,"Tags":[]}}`,
		guestProcess, owner, owner)
	stack := g.call("emscripten_stack_get_current")
	at := uint32(g.call("handle", g.push(message), g.push(env)))
	memory := g.mod.Memory()
	size := uint32(0)
	for b, _ := memory.ReadByte(at); b != 0; b, _ = memory.ReadByte(at + size) {
		size++
	}
	text, _ := memory.Read(at, size)
	answer := string(text)
	g.call("_emscripten_stack_restore", stack)
	return answer
}

func (g *guest) setGlobal(name string, v uint64) {
	g.mod.ExportedGlobal(name).(api.MutableGlobal).Set(v)
}
