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
	// library is what a module must have for it; "": nothing.
	library string
	// lua is what each message evaluates.
	lua string
	// count is how many messages a round has.
	count int
	// warmUpMS is how long the loader runs it before it is timed; 0: warmUpMS.
	warmUpMS int64
}

// setUp is the message before the others.
func (w vmWork) setUp() string {
	if w.program == "" {
		return "return 1"
	}
	return w.program
}

// trivialWork is the smallest message, which shows what an engine adds to any.
const trivialWork = "trivial Eval"

// vmWorks are the workloads of VM.
func vmWorks() []vmWork {
	return []vmWork{
		{name: trivialWork, lua: `return 1 + 1`, count: 100},
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
		{
			// V8 takes seconds to compile the largest function of SQLite well; until
			// then this takes seven times as long.
			name: "SQLite update and query", library: "lsqlite3", warmUpMS: 8000,
			program: `DB = require("lsqlite3").open_memory(); DB:exec("create table t (id integer primary key, name text, amount real)"); for i = 1, 500 do DB:exec(string.format("insert into t (name, amount) values ('n%d', %d / 3.0)", i % 50, i)) end`,
			lua:     `DB:exec("begin"); for i = 1, 50 do DB:exec("update t set amount = amount + 1 where id = " .. i * 7) end; DB:exec("commit"); local n = 0; for row in DB:nrows("select name, sum(amount) as s from t group by name order by s desc") do n = n + row.s end; return string.format("%.3f", n)`, count: 10,
		},
	}
}

// libraryLua asks a process whether it has a library.
func libraryLua(library string) string {
	return `return "has it: " .. tostring((pcall(require, "` + library + `")))`
}

const libraryAnswer = "has it: true"

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
