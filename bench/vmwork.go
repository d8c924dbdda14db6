package bench

import (
	"encoding/json"
	"fmt"
)

// vmWork is something that a process of aos does, in one message.
type vmWork struct {
	name string
	// program is evaluated once, before the messages.
	program string
	// lua is what each message evaluates.
	lua string
	// count is how many messages a round has.
	count int
}

// setUp is the message before the others.
func (w vmWork) setUp() string {
	if w.program == "" {
		return "return 1"
	}
	return w.program
}

// vmWorks are the workloads of VM.
func vmWorks() []vmWork {
	return []vmWork{
		{name: "trivial Eval", lua: `return 1 + 1`, count: 100},
		{name: "loop of 1e6", lua: `local n = 0; for i = 1, 1e6 do n = n + i % 7 end; return n`, count: 3},
		{name: "20,000 table inserts", lua: `local t = {}; for i = 1, 2e4 do t["k" .. i] = i end; local n = 0; for _, v in pairs(t) do n = n + v end; return n`, count: 3},
		{name: "1,000 errors", lua: `local n = 0; for i = 1, 1000 do if not pcall(error, "x") then n = n + 1 end end; return n`, count: 10},
		{
			name:    "JSON",
			program: `json = require("json"); Document = {}; for i = 1, 50 do Document[i] = { id = i, name = "n" .. i, list = { i, i / 3, true, "é\n" } } end`,
			lua:     `local text = json.encode(Document); Document = json.decode(text); return #text`, count: 10,
		},
		{name: "SHA-256", lua: `return require(".crypto").digest.sha2_256(string.rep("x", 1000)).asHex()`, count: 10},
		{
			name:    "token transfer",
			program: `Balances = { a = 1e9 }; function Move(from, to, quantity) assert(Balances[from] >= quantity); Balances[from] = Balances[from] - quantity; Balances[to] = (Balances[to] or 0) + quantity; ao.send({ Target = to, Action = "Credit", Quantity = tostring(quantity) }) end`,
			lua:     `Move("a", "b", 1); return Balances.b`, count: 50,
		},
	}
}

const (
	vmProcess = "PROCESS000000000000000000000000000000000001"
	vmOwner   = "OWNER00000000000000000000000000000000000001"
	vmGas     = 9_000_000_000_000
)

// vmEnv is the process as a guest sees it.
func vmEnv() []byte {
	return []byte(`{"Process":{"Id":"` + vmProcess + `","Owner":"` + vmOwner + `","Tags":[{"name":"Name","value":"bench"}]},"Module":{"Id":"M","Owner":"` + vmOwner + `","Tags":[]}}`)
}

// vmMessage is the nth message as a guest sees it; the 0th starts the process.
func vmMessage(n int, lua string) []byte {
	type tag struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	message := struct {
		ID                                string `json:"Id"`
		Target, Owner, Data, Module, From string
		BlockHeight                       string `json:"Block-Height"`
		Timestamp                         int64
		Cron                              bool
		Tags                              []tag
	}{
		ID: fmt.Sprintf("MESSAGE%036d", n), Target: vmProcess, Owner: vmOwner, From: vmOwner, Module: "M", Data: lua, BlockHeight: "1000",
		Timestamp: 1_700_000_000_000 + int64(n), Tags: []tag{{"Action", "Eval"}},
	}
	if n == 0 {
		message.ID, message.Tags = vmProcess, []tag{{"Type", "Process"}}
	}
	b, err := json.Marshal(message)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return b
}
