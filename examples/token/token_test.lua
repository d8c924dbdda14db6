-- much is more than any integer of a machine.
local much = "1" .. ("0"):rep(30)

local function begin()
	local token = spawn({ Name = "token", Owner = "minter" })
	token:send({ Action = "Mint", Quantity = much, Recipient = address("alice") })
	return token
end

local function balance(token, name)
	return token:dryrun({ Action = "Balance", Recipient = address(name) }).Messages[1].Data
end

test("whoever spawned it mints", function()
	local token = begin()
	equal(mail("minter")[1].Tags["Total-Supply"], much)
	local refused = token:send({ From = "alice", Action = "Mint", Quantity = 1 })
	contains(refused.Error, "only the owner mints")
	equal(token:eval("TotalSupply"), much)
end)

test("a transfer tells both sides", function()
	local token = begin()
	token:send({ From = "alice", Action = "Transfer", Recipient = address("bob"), Quantity = 250 })
	equal(mail("alice")[1].Action, "Debit-Notice")
	local notice = mail("bob")[1]
	equal(notice.Action, "Credit-Notice")
	equal(notice.Quantity, "250")
	equal(notice.Sender, address("alice"))
	equal(balance(token, "alice"), ("9"):rep(27) .. "750")
	equal(balance(token, "bob"), "250")
end)

test("a cast tells nobody", function()
	local token = begin()
	token:send({ From = "alice", Action = "Transfer", Recipient = address("bob"), Quantity = 250, Cast = true })
	equal(mail("bob"), {})
	equal(balance(token, "bob"), "250")
end)

test("nobody sends more than they have", function()
	local token = begin()
	local result = token:send({ From = "bob", Action = "Transfer", Recipient = address("alice"), Quantity = 1 })
	equal(result.Messages[1].Target, address("bob"))
	equal(result.Messages[1].Action, "Transfer-Error")
	equal(balance(token, "alice"), much)
end)

test("a transfer to oneself changes nothing", function()
	local token = begin()
	token:send({ From = "alice", Action = "Transfer", Recipient = address("alice"), Quantity = 5 })
	equal(balance(token, "alice"), much)
end)

test("a quantity is a whole number above 0", function()
	local token = begin()
	for _, quantity in ipairs({ "0", "-1", "1.5", "x", "", "1e3" }) do
		local result = token:send({ From = "alice", Action = "Transfer", Recipient = address("bob"), Quantity = quantity })
		contains(result.Error, "whole number above 0", quantity)
	end
	equal(token:send({ Action = "Balances" }).Messages[1].Data, '{"' .. address("alice") .. '":"' .. much .. '"}')
end)
