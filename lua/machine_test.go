package lua_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/vm"
)

// runtime gives the built runtime, or skips the test.
func runtime(t testing.TB) []byte {
	t.Helper()
	b, err := lua.Runtime()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	return b
}

const gas = 9_000_000_000_000

// guest is a process on a machine.
type guest struct {
	t       testing.TB
	process vm.Process
	env     []byte
	handle  func(message, env []byte) (string, error) // if it is no machine of ours
}

func start(t testing.TB, module []byte) *guest { return startAs(t, lua.Format, module) }

// cacheDir is shared by the tests of one run.
func cacheDir(t testing.TB) string {
	dir := os.TempDir() + "/wallaby-lua-test-code"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// answer gives the response to a message.
func (g *guest) answer(message string) string {
	g.t.Helper()
	if g.handle != nil {
		text, err := g.handle([]byte(message), g.env)
		if err != nil {
			g.t.Fatal(err)
		}
		return text
	}
	output, err := g.process.Handle(context.Background(), vm.Call{Message: []byte(message), Env: g.env, GasLimit: gas})
	if err != nil {
		g.t.Fatal(err)
	}
	return string(output.Response)
}

// evaluator is a bundle that evaluates messages and answers with the text of what they
// give, or of the error.
var evaluator = lua.Files{".boot": []byte(`
local native = require("native")
native.on_print(function(text) printed = (printed or "") .. text end)
return function(message)
	printed = nil
	local code, problem = load(message, "=message")
	local ok, value = false, problem
	if code then ok, value = xpcall(code, debug.traceback) end
	return native.json_encode({ok = true, response = {Output = (ok and "" or "error: ") .. tostring(value) .. (printed and "|" .. printed or "")}})
end`)}

func evaluate(t testing.TB) func(code string) string {
	t.Helper()
	module, err := lua.Pack(runtime(t), evaluator)
	if err != nil {
		t.Fatal(err)
	}
	g := start(t, module)
	return func(code string) string {
		t.Helper()
		var response struct{ Output string }
		text := g.answer(code)
		if err := json.Unmarshal([]byte(text), &response); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		return response.Output
	}
}

// TestLuaRuns goes through what a runtime of a language can get wrong.
func TestLuaRuns(t *testing.T) {
	eval := evaluate(t)
	for code, want := range map[string]string{
		`return 1 + 41`:                            "42",
		`return 7 // 2, 7 / 2`:                     "3",
		`return 2^53`:                              "9.007199254741e+15",
		`return ("x"):rep(3) .. #"abc"`:            "xxx3",
		`return select(2, pcall(error, "caught"))`: "caught",
		`local n = 0 for i = 1, 1000 do if not pcall(error, i) then n = n + 1 end end return n`:                                                                                                   "1000",
		`local c = coroutine.wrap(function() error("inside") end) return select(2, pcall(c))`:                                                                                                     "message:1: inside",
		`local c = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end) local _, x = coroutine.resume(c, 1) local _, y = coroutine.resume(c, 21) return x .. " " .. y`: "2 42",
		`return os.time() .. " " .. os.date("!%Y", 0) .. " " .. os.clock()`:                                                                                                                       "0 1970 0.0",
		`return tostring(io) .. tostring(os.getenv("HOME"))`:                                                                                                                                      "nilnil",
		`return pcall(require, "nothing")`:                                                      "false",
		`print("a", 1) print("b") return 0`:                                                     "0|a\t1\nb\n",
		`return (string.format("%5.2f|%q|%x", 1.5, "a\n", 255))`:                                ` 1.50|"a\` + "\n" + `"|ff`,
		`return utf8.char(8364, 128512)`:                                                        "€😀",
		`return math.type(1) .. math.type(1.0) .. math.maxinteger`:                              "integerfloat9223372036854775807",
		`goto done do return 1 end ::done:: return 2`:                                           "2",
		`return string.pack("<I4", 1):byte()`:                                                   "1",
		`local t = setmetatable({}, {__index = function(_, k) return k .. "!" end}) return t.a`: "a!",
	} {
		if got := eval(code); got != want {
			t.Errorf("%s\ngives %q, not %q", code, got, want)
		}
	}
	if got := eval(`local function deep() return 1 + deep() end return deep()`); !strings.Contains(got, "stack overflow") {
		t.Errorf("endless recursion: %.200s", got)
	}
	if got := eval(`error("with a place")`); !strings.Contains(got, "message:1: with a place") {
		t.Errorf("an error: %.200s", got)
	}
	if got := eval(`local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end`); !strings.Contains(got, "not enough memory") {
		t.Errorf("a memory bomb: %.200s", got)
	}
	if got := eval(`return "alive"`); got != "alive" {
		t.Errorf("after that: %q", got)
	}
}
