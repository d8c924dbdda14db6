-- two accounts at a token, of which alice's has 1000.
local function begin()
	local token = spawn({ Module = "../token", Name = "token" })
	local alice = spawn({ Name = "alice's", Owner = "alice" })
	local bob = spawn({ Name = "bob's", Owner = "bob" })
	token:send({ Action = "Mint", Quantity = 1000, Recipient = alice.id })
	return token, alice, bob
end

test("accounts pay each other", function()
	local token, alice, bob = begin()
	alice:send({ Action = "Pay", Token = token.id, Recipient = bob.id, Quantity = 250 })
	bob:send({ Action = "Pay", Token = token.id, Recipient = alice.id, Quantity = 30 })
	equal(token:eval("Balances['" .. alice.id .. "']"), "780")
	equal(token:eval("Balances['" .. bob.id .. "']"), "220")
	equal(bob:eval("#Received .. ' from ' .. Received[1].from"), "1 from " .. alice.id)
end)

test("only its owner has it pay", function()
	local token, alice, bob = begin()
	local result = alice:send({ From = "bob", Action = "Pay", Token = token.id, Recipient = bob.id, Quantity = 250 })
	contains(result.Error, "only the owner pays")
	equal(#result.Messages, 0)
end)
