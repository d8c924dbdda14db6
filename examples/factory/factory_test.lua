local code = [[
Handlers.add("greet", "Greet", function(m) m.reply({ Data = "hello from " .. Name }) end)
]]

test("what is ordered is made, and works", function()
	local factory = spawn({ Owner = "boss" })
	factory:send({ From = "alice", Action = "Order", Data = code, Name = "greeter" })
	local made = mail("alice")[1]
	equal(made.Action, "Made")
	local child = process(made.Process)
	equal(child:send({ From = "bob", Action = "Greet" }).Messages[1].Data, "hello from greeter")
	equal(factory:eval("#Made"), "1")
	equal(undelivered(), {})
end)

test("two orders are two processes", function()
	local factory = spawn()
	factory:send({ From = "alice", Action = "Order", Data = code })
	factory:send({ From = "alice", Action = "Order", Data = code })
	check(mail("alice")[1].Process ~= mail("alice")[2].Process)
end)

test("a stranger begins nothing", function()
	local factory = spawn()
	factory:send({ From = "alice", Action = "Order", Data = code })
	local child = process(mail("alice")[1].Process)
	contains(child:send({ From = "eve", Action = "Begin", Data = "Owned = true" }).Error, "only its factory")
	contains(factory:send({ From = "eve", Action = "Order", Data = "x = = 1" }).Error, "no Lua")
end)
