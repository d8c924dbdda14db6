-- wallaby test runs what is here: docs/LOCAL.md says what tests can do.
test("it counts", function()
	local counter = spawn({ Name = "NAME" })
	counter:send({ Action = "Add", Quantity = 5 })
	local answer = counter:send({ From = "alice", Action = "Add", Quantity = 3 }).Messages[1]
	equal(answer.Count, "8")
	equal(answer.Target, address("alice"))
end)

test("it takes numbers alone", function()
	local counter = spawn()
	contains(counter:send({ Action = "Add", Quantity = "many" }).Error, "Quantity must be a number")
	equal(counter:eval("Count"), "0")
end)
