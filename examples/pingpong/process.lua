-- Ping and pong: two processes of this kind send each other a ball until it has gone to
-- and fro often enough.
Seen = Seen or {}

Handlers.add("serve", "Serve", function(m)
	assert(m.From == Owner, "only the owner serves")
	Send({ Target = m.Opponent, Action = "Ping", Left = m.Rounds or "3" })
end)

Handlers.add("ping", "Ping", function(m)
	table.insert(Seen, "ping " .. m.Left)
	m.reply({ Action = "Pong", Left = m.Left })
end)

Handlers.add("pong", "Pong", function(m)
	table.insert(Seen, "pong " .. m.Left)
	local left = math.tointeger(tonumber(m.Left)) - 1
	if left > 0 then
		Send({ Target = m.From, Action = "Ping", Left = tostring(left) })
	else
		Send({ Target = Owner, Action = "Over" })
	end
end)
