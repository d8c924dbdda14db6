-- A chat room. Whoever has joined gets what others say, and may read what was said
-- before.
local json = require("json")

Members = Members or {} -- names by address
Said = Said or {}
SaidMax = 1000

-- tell sends a message to all members.
local function tell(message)
	for _, member in ipairs(Utils.keys(Members)) do
		message.Target = member
		Send(message)
	end
end

local function taken(name)
	for _, other in pairs(Members) do
		if other == name then return true end
	end
	return false
end

Handlers.add("join", "Join", function(m)
	local name = m.Nickname or m.From:sub(1, 8)
	assert(#name <= 32, "Nickname is longer than 32 bytes")
	if Members[m.From] == name then return m.reply({ Action = "Joined", Nickname = name }) end
	assert(not taken(name), "somebody is called " .. name)
	Members[m.From] = name
	m.reply({ Action = "Joined", Nickname = name })
	tell({ Action = "Notice", Data = name .. " has come" })
end)

Handlers.add("leave", "Leave", function(m)
	local name = Members[m.From]
	if not name then return end
	Members[m.From] = nil
	tell({ Action = "Notice", Data = name .. " has gone" })
end)

Handlers.add("say", "Say", function(m)
	local name = assert(Members[m.From], "join the room first: Action = Join")
	table.insert(Said, { by = name, text = m.Data, at = m.Timestamp })
	if #Said > SaidMax then table.remove(Said, 1) end
	tell({ Action = "Said", Nickname = name, Data = m.Data })
end)

Handlers.add("history", "History", function(m)
	local last = math.min(tonumber(m.Limit) or 50, #Said)
	m.reply({ Action = "History", Data = json.encode({ table.unpack(Said, #Said - last + 1) }) })
end)
