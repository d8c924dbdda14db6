-- An order book for one pair. Orders are kept by price, then by time; what two of them
-- agree on is a trade at the price of the one that was there first. It keeps books only:
-- whoever settles hears of each trade.
local json = require("json")

Bids, Asks = Bids or {}, Asks or {} -- best first
Trades = Trades or 0

local function whole(text, what)
	local number = math.tointeger(tonumber(text))
	return assert(number and number > 0 and number, what .. " must be a whole number above 0")
end

-- rest puts an order behind all that are as good.
local function rest(book, order, better)
	local at = #book + 1
	for i, other in ipairs(book) do
		if better(order.price, other.price) then
			at = i
			break
		end
	end
	table.insert(book, at, order)
end

local function higher(a, b) return a > b end
local function lower(a, b) return a < b end

-- match trades with the other side as long as prices meet.
local function match(order, book, meets)
	while order.left > 0 and book[1] and meets(book[1].price) do
		local other = book[1]
		local quantity = math.min(order.left, other.left)
		order.left, other.left = order.left - quantity, other.left - quantity
		Trades = Trades + 1
		for _, side in ipairs({ order, other }) do
			Send({
				Target = side.owner, Action = "Trade", Order = side.id, Side = side.side,
				Price = tostring(other.price), Quantity = tostring(quantity), Left = tostring(side.left),
			})
		end
		if other.left == 0 then table.remove(book, 1) end
	end
end

Handlers.add("order", "Order", function(m)
	local order = { id = m.Id, owner = m.From, side = m.Side, price = whole(m.Price, "Price"), left = whole(m.Quantity, "Quantity") }
	if m.Side == "buy" then
		match(order, Asks, function(price) return price <= order.price end)
		if order.left > 0 then rest(Bids, order, higher) end
	elseif m.Side == "sell" then
		match(order, Bids, function(price) return price >= order.price end)
		if order.left > 0 then rest(Asks, order, lower) end
	else
		error("Side must be buy or sell")
	end
	m.reply({ Action = "Ordered", Order = m.Id, Left = tostring(order.left) })
end)

Handlers.add("cancel", "Cancel", function(m)
	for _, book in ipairs({ Bids, Asks }) do
		for i, order in ipairs(book) do
			if order.id == m.Order then
				assert(order.owner == m.From, "it is somebody else's order")
				table.remove(book, i)
				return m.reply({ Action = "Cancelled", Order = m.Order })
			end
		end
	end
	error("there is no such Order")
end)

Handlers.add("book", "Book", function(m)
	local function levels(book)
		local list = {}
		for _, order in ipairs(book) do list[#list + 1] = { price = order.price, quantity = order.left } end
		return list
	end
	m.reply({ Action = "Book", Data = json.encode({ bids = levels(Bids), asks = levels(Asks) }) })
end)
