package vmtest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The identities in the test messages.
const (
	processID = "PROC0000000000000000000000000000000000000001"
	ownerID   = "OWNER000000000000000000000000000000000000001"
	moduleID  = "MODULE00000000000000000000000000000000000001"
)

// Tag is a name and a value.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Message is a message as a node gives it to a guest, with its keys in the
// order in which nodes write them.
type Message struct {
	ID          string `json:"Id"`
	Target      string
	Owner       string
	Data        string
	Module      string
	BlockHeight string `json:"Block-Height"`
	From        string
	Timestamp   int64
	Cron        bool
	Tags        []Tag
}

// Env is the JSON of the process that all test messages are for.
func Env() []byte {
	return []byte(`{"Process":{"Id":"` + processID + `","Owner":"` + ownerID + `","Tags":[{"name":"Name","value":"test"},{"name":"Authority","value":"` + ownerID + `"}]},"Module":{"Id":"` + moduleID + `","Owner":"` + ownerID + `","Tags":[]}}`)
}

func message(n int, data string, tags ...Tag) []byte {
	m := Message{
		ID: fmt.Sprintf("MSG%040d", n), Target: processID, Owner: ownerID, From: ownerID, Module: moduleID,
		BlockHeight: "1000", Timestamp: 1_700_000_000_000 + int64(n), Data: data, Tags: tags,
	}
	if n == 0 {
		m.ID = processID
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings always marshal
	}
	return b
}

// Boot is the message that starts an aos process: the process itself.
func Boot() []byte {
	return message(0, " ", Tag{"Type", "Process"}, Tag{"Module", moduleID})
}

// Eval is the nth message, which has aos run some Lua.
func Eval(n int, lua string) []byte { return message(n, lua, Tag{"Action", "Eval"}) }

// AosBattery is a series of messages that reaches what aos modules do: state,
// errors, sending, spawning, handlers, hashing, time, numbers, growth.
func AosBattery() [][]byte {
	evals := []string{
		`return 1 + 1`,
		`Count = (Count or 0) + 1; return Count`,
		`error("on purpose")`,
		`return Count`,
		`local t = {}; for i = 1, 50 do t["key" .. i] = i end; local keys = {}; for k in pairs(t) do keys[#keys + 1] = k end; return table.concat(keys, " ")`,
		`return require("json").encode({ zulu = 1, alpha = { 3, 2, 1 }, mike = { yes = true, pi = 3.14159, text = "é \u{1F600} \" \\ \n" } })`,
		`Send({ Target = "` + strings.Repeat("T", 43) + `", Action = "Greet", Data = "hello", Extra = "1", ["X-Zed"] = "2", ["X-Able"] = "3" })`,
		`ao.send({ Target = "` + strings.Repeat("U", 43) + `", Tags = { { name = "One", value = "1" }, { name = "Two", value = "2" } }, Data = "plain" }); ao.send({ Target = "x", Data = "second" }); return "sent"`,
		`Spawn("` + strings.Repeat("M", 43) + `", { Data = "child", Name = "child", Tags = { Kind = "test" } })`,
		`ao.assign({ Processes = { "` + strings.Repeat("P", 43) + `" }, Message = "` + strings.Repeat("N", 43) + `" }); return "assigned"`,
		`Handlers.add("ping", Handlers.utils.hasMatchingTag("Action", "Ping"), function (msg) ao.send({ Target = msg.From, Action = "Pong", Data = msg.Data, ["Reply-To"] = msg.Id }) end); return #Handlers.list`,
		"PING",
		"PING",
		`local ok, err = pcall(function () local x = nil; return x.field end); return tostring(ok) .. " " .. tostring(err)`,
		`local n = 0; for i = 1, 300 do if not pcall(error, "again") then n = n + 1 end end; return n`,
		`local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end; return deep(150)`,
		`local function forever(n) return 1 + forever(n) end; return pcall(forever, 1)`,
		`return require(".crypto").digest.sha2_256("hello").asHex()`,
		`return tostring(os.time()) .. " " .. os.date("!%Y-%m-%d %H:%M:%S", 86400) .. " " .. tostring(os.getenv("HOME"))`,
		`return string.format("%.14g %d %5.2f %q %x", 2^53, -7, 1/3, "q\n", 255)`,
		`return 1e15, 0.1, -0.0, 100, 2^63, math.huge`,
		`return math.random(1, 1000000) .. " " .. math.random()`,
		`local t = {}; for i = 1, 20000 do t[i] = { id = i, name = "n" .. i } end; Big = t; return #Big`,
		`local s = string.rep("abc", 100000); return #s .. " " .. s:sub(-5)`,
		`Big = nil; collectgarbage(); return "freed"`,
		`return tostring(io.open("/nothing", "r")) .. " " .. tostring(pcall(require, "nothing"))`,
		`print("printed"); print({ b = 1, a = 2 }); return nil`,
		`syntax error here`,
		`return Handlers.list[1].name`,
		`return {1, 2, { three = 3 }}`,
		`return Inbox and #Inbox or "none"`,
	}
	messages := [][]byte{Boot()}
	for i, lua := range evals {
		if lua == "PING" {
			messages = append(messages, message(i+1, "payload", Tag{"Action", "Ping"}))
			continue
		}
		messages = append(messages, Eval(i+1, lua))
	}
	return append(messages, message(9999, "nobody handles this", Tag{"Action", "Unknown"}), Eval(10000, `return #Inbox`))
}

// DeepCalls are messages that call as deeply as Lua lets them, which is deeper
// than the stack of the reference loader's engine.
func DeepCalls() [][]byte {
	messages := [][]byte{Boot()}
	for i, lua := range []string{
		`local n = 0; local function deep() n = n + 1; return (string.gsub("a", "a", deep)) end; local ok, err = pcall(deep); return n .. " " .. tostring(err)`,
		`local n = 0; local function deep() n = n + 1; return pcall(deep) end; deep(); return n`,
		`local n = 0; local meta = {}; meta.__index = function(t, k) n = n + 1; return setmetatable({}, meta)[k] end; local ok, err = pcall(function () return setmetatable({}, meta).x end); return n .. " " .. tostring(err)`,
		`return select(2, load("return " .. string.rep("(", 250) .. "1" .. string.rep(")", 250)))`,
		`local n = 0; local function deep() n = n + 1; return coroutine.wrap(deep)() end; local ok, err = pcall(deep); return n .. " " .. #tostring(err)`,
		`local n = 0; local function deep(a, b) n = n + 1; table.sort({ 3, 2, 1 }, deep) end; local ok, err = pcall(deep); return n .. " " .. tostring(err)`,
	} {
		messages = append(messages, Eval(i+1, lua))
	}
	return messages
}

// GrowingInbox is a series of Evals from a stranger, whom nobody trusts: the
// guest keeps them all, and its memory fills up.
func GrowingInbox(n int) [][]byte {
	stranger := strings.Repeat("S", 43)
	messages := [][]byte{Boot()}
	for i := range n {
		b, err := json.Marshal(map[string]any{
			"Id": "message-" + strconv.Itoa(i), "Owner": stranger, "From": stranger, "Target": processID,
			"Signature": strings.Repeat("s", 86), "Hash-Chain": strings.Repeat("h", 43), "Anchor": nil,
			"Data": strings.Repeat("x", i%97), "Epoch": 0, "Nonce": 1, "Timestamp": 1_795_429_429_927, "Block-Height": 0,
			"Cron": false, "Read-Only": false, "Tags": []Tag{
				{"Action", "Eval"}, {"N", "0"}, {"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", "Message"},
			},
		})
		if err != nil {
			panic(err) // strings and numbers always marshal
		}
		messages = append(messages, b)
	}
	return append(messages, Eval(n+1, `return #Inbox`))
}
