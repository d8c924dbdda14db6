-- wallaby test runs what is here: docs/LOCAL.md says what tests can do.
test("it counts", function()
	local counter = spawn({ Name = "NAME" })
	counter:send({ Action = "Add", Quantity = 5 })
	local answer = counter:send({ From = "alice", Action = "Add", Quantity = 3 }).Messages[1]
	equal(answer.Count, "8")
	equal(answer.Target, address("alice"))
	equal(mail("alice")[1].Action, "Added")
end)

test("it takes numbers alone", function()
	local counter = spawn()
	contains(counter:send({ Action = "Add", Quantity = 'ma"ny' }).Error, "Quantity must be a number")
	equal(counter:dryrun({ Action = "Info" }).Messages[1].Count, "0")
end)
