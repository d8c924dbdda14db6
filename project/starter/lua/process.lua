-- NAME: a counter. Everything below runs once, when the process begins; handlers run
-- when messages come.
Count = Count or 0

Handlers.add("info", "Info", function(m)
	m.reply({ Name = Name, Count = tostring(Count) })
end)

Handlers.add("add", "Add", function(m)
	local by = tonumber(m.Quantity or "1")
	assert(by, "Quantity must be a number")
	Count = Count + by
	m.reply({ Action = "Added", Count = tostring(Count) })
end)
