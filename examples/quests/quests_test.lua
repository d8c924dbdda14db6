local json = require("json")

-- a board, and a poster who has sent it 100.
local function begin()
	local token = spawn({ Module = "../token", Owner = "mint" })
	local board = spawn({ Tags = { Token = token.id } })
	token:send({ Action = "Mint", Recipient = address("poster"), Quantity = 100 })
	token:send({ From = "poster", Action = "Transfer", Recipient = board.id, Quantity = 100 })
	return token, board
end

local function balance(token, name)
	return token:dryrun({ Action = "Balance", Recipient = address(name) }).Messages[1].Data
end

test("a quest that is done is paid", function()
	local token, board = begin()
	equal(board:send({ From = "poster", Action = "Post", Data = "find my cat", Reward = 60 }).Messages[1].Quest, "1")
	board:send({ From = "hero", Action = "Take", Quest = 1 })
	equal(mail("poster")[#mail("poster")].Taker, address("hero"))
	contains(board:send({ From = "hero", Action = "Done", Quest = 1 }).Error, "only who posted it")
	board:send({ From = "poster", Action = "Done", Quest = 1 })
	equal(balance(token, "hero"), "60")
	contains(board:send({ From = "poster", Action = "Done", Quest = 1 }).Error, "the quest is done")
	equal(balance(token, "hero"), "60")
end)

test("a quest that is called off is paid back", function()
	local token, board = begin()
	board:send({ From = "poster", Action = "Post", Data = "x", Reward = 60 })
	board:send({ From = "poster", Action = "Cancel", Quest = 1 })
	equal(balance(token, "poster"), "60")
	contains(board:send({ From = "hero", Action = "Take", Quest = 1 }).Error, "the quest is cancelled")
end)

test("nobody promises what they have not sent", function()
	local token, board = begin()
	contains(board:send({ From = "poster", Action = "Post", Data = "x", Reward = 101 }).Error, "send the reward")
	contains(board:send({ From = "eve", Action = "Post", Data = "x", Reward = 1 }).Error, "send the reward")
	contains(board:send({ From = "eve", Action = "Credit-Notice", Sender = address("eve"), Quantity = 9 }).Error, "only notices of the token")
	equal(json.decode(board:dryrun({ Action = "List" }).Messages[1].Data), {})
end)
