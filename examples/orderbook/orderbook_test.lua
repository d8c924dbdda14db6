local json = require("json")

local function order(book, who, side, price, quantity)
	local result = book:send({ From = who, Action = "Order", Side = side, Price = price, Quantity = quantity })
	check(not result.Error, result.Error)
	local answer = result.Messages[#result.Messages]
	return answer.Order, answer.Left
end

local function levels(book)
	local all = json.decode(book:dryrun({ Action = "Book" }).Messages[1].Data)
	local text = {}
	for _, side in ipairs({ "bids", "asks" }) do
		local list = {}
		for _, level in ipairs(all[side]) do list[#list + 1] = level.quantity .. "@" .. level.price end
		text[#text + 1] = table.concat(list, " ")
	end
	return table.concat(text, " | ")
end

test("orders are kept by price, then by time", function()
	local book = spawn()
	order(book, "a", "buy", 10, 1)
	order(book, "b", "buy", 12, 2)
	order(book, "c", "buy", 10, 3)
	order(book, "d", "sell", 15, 4)
	order(book, "e", "sell", 14, 5)
	equal(levels(book), "2@12 1@10 3@10 | 5@14 4@15")
end)

test("prices that meet trade, at the price that was there", function()
	local book = spawn()
	order(book, "seller", "sell", 14, 5)
	local _, left = order(book, "buyer", "buy", 20, 7)
	equal(left, "2")
	equal(levels(book), "2@20 | ")
	local trade = mail("seller")[2]
	equal({ trade.Action, trade.Price, trade.Quantity, trade.Left }, { "Trade", "14", "5", "0" })
	order(book, "seller", "sell", 1, 2)
	equal(levels(book), " | ")
	equal(book:eval("Trades"), "2")
end)

test("an order is called off by whoever gave it", function()
	local book = spawn()
	local id = order(book, "a", "buy", 10, 1)
	contains(book:send({ From = "b", Action = "Cancel", Order = id }).Error, "somebody else's")
	check(not book:send({ From = "a", Action = "Cancel", Order = id }).Error)
	contains(book:send({ From = "a", Action = "Cancel", Order = id }).Error, "no such Order")
	contains(book:send({ From = "a", Action = "Order", Side = "up", Price = 1, Quantity = 1 }).Error, "buy or sell")
	contains(book:send({ From = "a", Action = "Order", Side = "buy", Price = 1.5, Quantity = 1 }).Error, "Price must be")
end)
