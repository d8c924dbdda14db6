package lua_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
)

// TestTheReferenceLoaderRunsIt has ao's own loader, as reference compute units have it,
// run a packed module, and give the same bytes.
func TestTheReferenceLoaderRunsIt(t *testing.T) {
	module, err := lua.Module(runtime(t), lua.Files{"process": []byte("Handlers.add('ping', 'Ping', function(m) m.reply({Data = 'pong'}) end)\n")})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "process.wasm")
	if err := os.WriteFile(path, module, 0o600); err != nil {
		t.Fatal(err)
	}
	oracle := vmtest.StartOracle(t, vmtest.OracleOptions{Module: path, Format: lua.Format, GasLimit: gas})
	ours, theirs := start(t, module), &guest{t: t}
	theirs.handle = func(message, env []byte) (string, error) {
		reply, err := oracle.Handle(message, env)
		var answer struct {
			Response json.RawMessage
		}
		if err == nil && reply.Text == "" {
			return "", fmt.Errorf("the loader threw %s", reply.Thrown)
		}
		if err == nil {
			err = json.Unmarshal([]byte(reply.Text), &answer)
		}
		return string(answer.Response), err
	}
	if got, want := theirs.spawn(), ours.spawn(); got != want {
		t.Errorf("the beginning:\n%s\nnot\n%s", got, want)
	}
	for i, message := range []sent{
		eval("1 + 1"), {From: user, Action: "Ping"}, {From: user, Data: "to the inbox"}, eval("error('boom')"), eval("return #Inbox"),
		eval("local n = 0 for i = 1, 500 do if not pcall(error, i) then n = n + 1 end end return n"), eval("return os.time()"),
		eval("return ('x'):rep(1000000):len()"), eval("print(1.5, require('json').encode({1, {a = 2}}))"),
	} {
		if got, want := theirs.send(i+1, message), ours.send(i+1, message); got != want {
			t.Errorf("message %d:\n%s\nnot\n%s", i+1, got, want)
		}
	}
}
