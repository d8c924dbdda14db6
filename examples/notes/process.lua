-- Notes in SQLite, for modules that have it (require("lsqlite3")), such as the sqlite
-- builds of aos: .load this file into a process of such a module.
local sqlite3 = require("lsqlite3")
local json = require("json")

Db = Db or sqlite3.open_memory()
Db:exec("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, by TEXT NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL)")

-- rows runs a query with values in place of its question marks, and lists what it gives.
local function rows(query, ...)
	local statement = assert(Db:prepare(query), Db:errmsg())
	statement:bind_values(...)
	local list = {}
	for row in statement:nrows() do list[#list + 1] = row end
	statement:finalize()
	return list
end

Handlers.add("note", Handlers.utils.hasMatchingTag("Action", "Note"), function(m)
	rows("INSERT INTO notes (by, at, text) VALUES (?, ?, ?)", m.From, m.Timestamp, m.Data)
	Send({ Target = m.From, Action = "Noted", Note = tostring(Db:last_insert_rowid()) })
end)

Handlers.add("search", Handlers.utils.hasMatchingTag("Action", "Search"), function(m)
	Send({ Target = m.From, Action = "Found", Data = json.encode(rows("SELECT id, by, text FROM notes WHERE text LIKE ? ORDER BY id", "%" .. m.Text .. "%")) })
end)
