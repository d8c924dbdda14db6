-- These tests need a module with SQLite in sqlite.wasm, which wallaby's make modules
-- fetches.
local json = require("json")

local function begin()
	local notes = spawn({ Module = "sqlite.wasm", Owner = "me" })
	notes:eval(source("process"))
	return notes
end

test("notes are found", function()
	local notes = begin()
	notes:send({ From = "alice", Action = "Note", Data = "buy tea" })
	notes:send({ From = "bob", Action = "Note", Data = "drink tea" })
	notes:send({ From = "bob", Action = "Note", Data = "sleep" })
	local found = json.decode(notes:send({ From = "alice", Action = "Search", Text = "tea" }).Messages[1].Data)
	equal(#found, 2)
	equal(found[2].text, "drink tea")
	equal(found[2].by, address("bob"))
end)

test("a quote in a note is only that", function()
	local notes = begin()
	notes:send({ From = "eve", Action = "Note", Data = "'); DROP TABLE notes; --" })
	local found = json.decode(notes:send({ From = "eve", Action = "Search", Text = "DROP" }).Messages[1].Data)
	equal(#found, 1)
end)
