package vmtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// generators make the histories of processes that people run: a program, and then
// messages to it. They are ours, and the same for the same seed.
var generators = map[string]struct {
	program string
	message func(r *rand.Rand, n int) []byte
}{
	"token": {`
		Balances = Balances or { alice = 1000000 }
		Handlers.add("transfer", Handlers.utils.hasMatchingTag("Action", "Move"), function (msg)
			local from, to, quantity = msg.Tags.Sender, msg.Tags.Recipient, tonumber(msg.Tags.Quantity)
			if (Balances[from] or 0) < quantity then
				ao.send({ Target = msg.From, Action = "Refused", Balance = tostring(Balances[from] or 0) })
				return
			end
			Balances[from] = Balances[from] - quantity
			Balances[to] = (Balances[to] or 0) + quantity
			ao.send({ Target = to, Action = "Credit", Quantity = tostring(quantity), Total = string.format("%.3f", Balances[to] / 3) })
		end)`,
		func(r *rand.Rand, n int) []byte {
			names := []string{"alice", "bob", "carol", "dave"}
			return message(n, "", Tag{"Action", "Move"}, Tag{"Sender", names[r.IntN(4)]}, Tag{"Recipient", names[r.IntN(4)]}, Tag{"Quantity", fmt.Sprint(r.IntN(5000))})
		}},
	"orders": {`
		Asks, Bids, Trades = {}, {}, 0
		local function insert(book, order, before)
			local at = #book + 1
			while at > 1 and before(order, book[at - 1]) do at = at - 1 end
			table.insert(book, at, order)
		end
		Handlers.add("order", Handlers.utils.hasMatchingTag("Action", "Order"), function (msg)
			local order = { price = tonumber(msg.Tags.Price), size = tonumber(msg.Tags.Size), id = msg.Id }
			local buy = msg.Tags.Side == "buy"
			local book, other = buy and Bids or Asks, buy and Asks or Bids
			while order.size > 0 and other[1] and (buy and other[1].price <= order.price or not buy and other[1].price >= order.price) do
				local size = math.min(order.size, other[1].size)
				order.size, other[1].size, Trades = order.size - size, other[1].size - size, Trades + 1
				ao.send({ Target = msg.From, Action = "Trade", Price = tostring(other[1].price), Size = tostring(size), With = other[1].id })
				if other[1].size == 0 then table.remove(other, 1) end
			end
			if order.size > 0 then insert(book, order, function (a, b) if buy then return a.price > b.price end return a.price < b.price end) end
		end)`,
		func(r *rand.Rand, n int) []byte {
			return message(n, "", Tag{"Action", "Order"}, Tag{"Side", []string{"buy", "sell"}[r.IntN(2)]},
				Tag{"Price", fmt.Sprintf("%.2f", 90+20*r.Float64())}, Tag{"Size", fmt.Sprint(1 + r.IntN(20))})
		}},
	"chat": {`
		Rooms = {}
		Handlers.add("say", Handlers.utils.hasMatchingTag("Action", "Say"), function (msg)
			local room = Rooms[msg.Tags.Room] or { members = {}, log = {} }
			Rooms[msg.Tags.Room] = room
			room.members[msg.Tags.Nick] = (room.members[msg.Tags.Nick] or 0) + 1
			table.insert(room.log, msg.Tags.Nick .. ": " .. msg.Data)
			if #room.log > 20 then table.remove(room.log, 1) end
			for nick, count in pairs(room.members) do
				if nick ~= msg.Tags.Nick then ao.send({ Target = nick, Action = "Said", Data = msg.Data, Count = tostring(count) }) end
			end
		end)`,
		func(r *rand.Rand, n int) []byte {
			words := []string{"ahoj", "grüße", "こんにちは", "🙂", "hello \"there\"", "tab\tand\nline", "\u0001"}
			var text []string
			for range 1 + r.IntN(12) {
				text = append(text, words[r.IntN(len(words))])
			}
			return message(n, strings.Join(text, " "), Tag{"Action", "Say"}, Tag{"Room", fmt.Sprint("room", r.IntN(3))}, Tag{"Nick", fmt.Sprint("nick", r.IntN(6))})
		}},
	"json": {`
		json = require("json")
		Documents = {}`,
		func(r *rand.Rand, n int) []byte {
			document, err := json.Marshal(randomDocument(r, 3))
			if err != nil {
				panic(err) // it is made of what can be encoded
			}
			return Eval(n, fmt.Sprintf(`local text = [==[%s]==]; local document = json.decode(text); Documents[%d] = document; local again = json.encode(document); return #again .. again:upper():reverse():gsub("%%d", "#"):sub(1, 200)`, document, r.IntN(20)))
		}},
	"errors": {``,
		func(r *rand.Rand, n int) []byte {
			return Eval(n, []string{
				`error({ code = 7 })`,
				`local t = nil; return t.x`,
				`return 1 + {}`,
				`this is no Lua`,
				`local ok, err = pcall(error, "inner"); error("outer " .. tostring(err), 2)`,
				`for i = 1, 50 do pcall(function () local s = ("x"):rep(i) .. nil end) end return "survived"`,
				`local co = coroutine.create(function () error("in a coroutine") end); return tostring(select(2, coroutine.resume(co)))`,
				`return string.rep("x", -1) .. string.format("%5.1f|%g|%x", 1e300 * 10, 0/0 ~= 0/0 and 1 or 0, 3)`,
				`return select("#", table.unpack({}, 1, 200)), pcall(table.unpack, {}, 1, 1e8)`,
				`setmetatable(_G, nil); return math.tointeger(2^53), 7 // 0.0, -7 % 3, 1 << 63, pcall(function () return 1 // 0 end)`,
			}[r.IntN(10)])
		}},
	"large": {`Store = {}`,
		func(r *rand.Rand, n int) []byte {
			switch r.IntN(3) {
			case 0:
				return Eval(n, fmt.Sprintf(`local parts = {}; for i = 1, %d do parts[i] = tostring(i * 0.5) end; Store[%d] = table.concat(parts, ","); return #Store[%d]`, 500+r.IntN(2000), n%6, n%6))
			case 1:
				return Eval(n, `local n = 0; for _, text in pairs(Store) do for number in text:gmatch("[^,]+") do n = n + tonumber(number) end end; return n`)
			}
			return Eval(n, fmt.Sprintf(`return #%q`, strings.Repeat("data ", 1000+r.IntN(4000))))
		}},
}

func randomDocument(r *rand.Rand, depth int) any {
	if depth == 0 {
		return []any{r.IntN(1e6), r.Float64() * 1e6, "text " + fmt.Sprint(r.IntN(100)), r.IntN(2) == 0, "é\\\"/"}[r.IntN(5)]
	}
	if r.IntN(2) == 0 {
		list := make([]any, 1+r.IntN(4))
		for i := range list {
			list[i] = randomDocument(r, depth-1)
		}
		return list
	}
	object := map[string]any{}
	for i := range 1 + r.IntN(5) {
		object[fmt.Sprint("key", i)] = randomDocument(r, depth-1)
	}
	return object
}

// Generators lists the kinds of histories.
func Generators() []string { return []string{"token", "orders", "chat", "json", "errors", "large"} }

// Generate makes a history of n messages after the boot and the program.
func Generate(kind string, seed uint64, n int) [][]byte {
	g := generators[kind]
	r := rand.New(rand.NewPCG(seed, 0))
	messages := [][]byte{Boot(), Eval(1, g.program)}
	for i := range n {
		messages = append(messages, g.message(r, i+2))
	}
	return messages
}
