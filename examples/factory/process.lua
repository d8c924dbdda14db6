-- A factory: a process that spawns others. Each is of the factory's own module, and
-- begins with the code that it was ordered with; who ordered it is told its id.
Orders = Orders or {}
Made = Made or {}

-- A child of a factory is no factory: it waits for its code.
if ao.env.Process.Tags["Made-For"] then
	Handlers.add("begin", "Begin", function(m)
		assert(m.From == Owner or m.From == ao.env.Process.Tags["From-Process"], "only its factory begins it")
		assert(load(m.Data, "@begin"))()
	end)
	return
end

Handlers.add("order", "Order", function(m)
	assert(load(m.Data, "@order"), "the order's data is no Lua")
	Orders[m.Id] = { customer = m.From, code = m.Data }
	Spawn(ao.env.Module.Id, {
		Tags = { Name = m.Name or "made", Authority = ao.authorities[1], ["Made-For"] = m.From, ["X-Order"] = m.Id },
	})
end)

Handlers.add("spawned", "Spawned", function(m)
	local order = Orders[m["X-Order"]]
	if not order then return end
	Orders[m["X-Order"]] = nil
	table.insert(Made, m.Process)
	Send({ Target = m.Process, Action = "Begin", Data = order.code })
	Send({ Target = order.customer, Action = "Made", Process = m.Process })
end)
