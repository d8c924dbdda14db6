package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/examples"
	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/project"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// example is a process of one, that was just spawned by "owner".
type example struct {
	*testing.T
	process vm.Process
	env     []byte
	sent    int
}

// message is one that a process sends.
type message struct {
	Target, Data string
	Tags         map[string]string
}

func open(t *testing.T, name string) *example {
	t.Helper()
	if _, err := lua.Runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, examples.Files); err != nil {
		t.Fatal(err)
	}
	p, err := project.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	built, err := p.Build(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(built.Path)
	if err != nil {
		t.Fatal(err)
	}
	driver, err := wazero.NewDriver(wazero.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := driver.Load(t.Context(), vm.Source{Format: lua.Format, Bytes: module})
	if err != nil {
		t.Fatal(err)
	}
	process, err := loaded.New(t.Context(), vm.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Close(); err != nil {
			t.Error(err)
		}
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	e := &example{T: t, process: process}
	e.env, _ = json.Marshal(map[string]any{
		"Process": map[string]any{"Id": "process", "Owner": "owner", "Tags": tags("Name", name, "Type", "Process")}, "Module": map[string]any{"Id": "module", "Tags": tags()},
	})
	e.handle(map[string]any{"Id": "process", "Target": "process", "Owner": "owner", "From": "owner", "Tags": tags("Type", "Process", "Name", name), "Timestamp": 1})
	return e
}

func tags(pairs ...string) []map[string]string {
	list := []map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, map[string]string{"name": pairs[i], "value": pairs[i+1]})
	}
	return list
}

func (e *example) handle(fields map[string]any) []byte {
	e.Helper()
	b, err := json.Marshal(fields)
	if err != nil {
		e.Fatal(err)
	}
	output, err := e.process.Handle(context.Background(), vm.Call{Message: b, Env: e.env, GasLimit: 1 << 50})
	if err != nil {
		e.Fatal(err)
	}
	return output.Response
}

// send gives the process a message and gives what it sends; an error of its is given as
// a message to nobody.
func (e *example) send(from, action string, pairs ...string) (list []message) {
	e.Helper()
	e.sent++
	var response struct {
		Error    string
		Messages []struct {
			Target, Data string
			Tags         []struct{ Name, Value string }
		}
	}
	b := e.handle(map[string]any{
		"Id": fmt.Sprint("m", e.sent), "Target": "process", "Owner": from, "From": from, "Data": "", "Timestamp": 1 + e.sent, "Block-Height": 1,
		"Tags": tags(append([]string{"Type", "Message", "Action", action}, pairs...)...),
	})
	if err := json.Unmarshal(b, &response); err != nil {
		e.Fatalf("%v in %s", err, b)
	}
	if response.Error != "" {
		return []message{{Data: response.Error}}
	}
	for _, m := range response.Messages {
		one := message{m.Target, m.Data, map[string]string{}}
		for _, tag := range m.Tags {
			one.Tags[tag.Name] = tag.Value
		}
		list = append(list, one)
	}
	return list
}

// TestATokenKeepsItsBooks mints, transfers and refuses.
func TestATokenKeepsItsBooks(t *testing.T) {
	token := open(t, "token")
	balance := func(account string) string { return token.send(account, "Balance")[0].Data }
	const much = "1000000000000000000000000000000" // more than any integer of a machine
	if got := token.send("owner", "Mint", "Quantity", much, "Recipient", "alice"); len(got) != 1 || got[0].Tags["Total-Supply"] != much {
		t.Fatalf("mint: %+v", got)
	}
	if got := token.send("alice", "Mint", "Quantity", "1"); len(got) != 1 || !strings.Contains(got[0].Data, "only the owner mints") {
		t.Errorf("a stranger's mint: %+v", got)
	}
	notices := token.send("alice", "Transfer", "Recipient", "bob", "Quantity", "250")
	if len(notices) != 2 || notices[0].Target != "alice" || notices[0].Tags["Action"] != "Debit-Notice" || notices[1].Target != "bob" ||
		notices[1].Tags["Action"] != "Credit-Notice" || notices[1].Tags["Quantity"] != "250" || notices[1].Tags["Sender"] != "alice" {
		t.Errorf("notices: %+v", notices)
	}
	if got := balance("alice") + " " + balance("bob"); got != "999999999999999999999999999750 250" {
		t.Errorf("balances %s", got)
	}
	if got := token.send("bob", "Transfer", "Recipient", "alice", "Quantity", "251"); len(got) != 1 || got[0].Target != "bob" || got[0].Tags["Action"] != "Transfer-Error" {
		t.Errorf("too much: %+v", got)
	}
	for _, quantity := range []string{"0", "-1", "1.5", "x", "", "1e3"} {
		if got := token.send("bob", "Transfer", "Recipient", "alice", "Quantity", quantity); len(got) != 1 || !strings.Contains(got[0].Data, "whole number above 0") {
			t.Errorf("quantity %q: %+v", quantity, got)
		}
	}
	if got := token.send("bob", "Transfer", "Recipient", "alice", "Quantity", "250", "Cast", "true"); len(got) != 0 {
		t.Errorf("a cast tells nobody: %+v", got)
	}
	if got := token.send("x", "Balances")[0].Data; got != `{"alice":"`+much+`"}` {
		t.Errorf("balances %s", got)
	}
	if got := token.send("bob", "Transfer", "Recipient", "bob", "Quantity", "1")[0].Tags["Action"]; got != "Transfer-Error" {
		t.Errorf("from nothing to oneself: %s", got)
	}
}

// TestAnAccountPaysAndCounts has its owner pay, and notices come.
func TestAnAccountPaysAndCounts(t *testing.T) {
	account := open(t, "account")
	paid := account.send("owner", "Pay", "Token", "token", "Recipient", "bob", "Quantity", "5")
	if len(paid) != 1 || paid[0].Target != "token" || paid[0].Tags["Action"] != "Transfer" || paid[0].Tags["Recipient"] != "bob" || paid[0].Tags["Quantity"] != "5" {
		t.Errorf("a payment: %+v", paid)
	}
	if got := account.send("thief", "Pay", "Token", "token", "Recipient", "thief", "Quantity", "5"); len(got) != 1 || !strings.Contains(got[0].Data, "only the owner pays") {
		t.Errorf("a thief's payment: %+v", got)
	}
	if got := account.send("token", "Credit-Notice", "Sender", "alice", "Quantity", "7"); len(got) != 0 {
		t.Errorf("a notice: %+v", got)
	}
}

// TestEveryExampleIsTested keeps the list above whole.
func TestEveryExampleIsTested(t *testing.T) {
	tested := map[string]bool{"token": true, "account": true}
	entries, err := fs.ReadDir(examples.Files, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !tested[entry.Name()] {
			t.Errorf("nothing tests the example %s", entry.Name())
		}
	}
}
