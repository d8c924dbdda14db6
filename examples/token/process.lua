-- A token. Amounts are integers of any size, sent as texts. Whoever spawned the process
-- may mint; a transfer tells both sides.
local bint = require(".bint")(256)
local json = require("json")

Balances = Balances or {}
TotalSupply = TotalSupply or "0"
Ticker = Ticker or "WLB"
Denomination = Denomination or 12

local function balance_of(account) return bint(Balances[account] or "0") end

local function set_balance(account, amount)
	if bint.iszero(amount) then
		Balances[account] = nil
	else
		Balances[account] = tostring(amount)
	end
end

-- quantity_of gives the amount that a message is about, or an error that its sender sees.
local function quantity_of(m)
	local quantity = bint.fromstring(m.Quantity or "")
	assert(quantity and bint.ispos(quantity), "Quantity must be a whole number above 0")
	return quantity
end

Handlers.add("info", "Info", function(m)
	m.reply({ Name = Name, Ticker = Ticker, Denomination = tostring(Denomination), ["Total-Supply"] = TotalSupply })
end)

Handlers.add("balance", "Balance", function(m)
	local account = m.Recipient or m.From
	m.reply({ Account = account, Ticker = Ticker, Balance = tostring(balance_of(account)), Data = tostring(balance_of(account)) })
end)

Handlers.add("balances", "Balances", function(m)
	m.reply({ Data = json.encode(Balances) })
end)

Handlers.add("mint", "Mint", function(m)
	assert(m.From == Owner, "only the owner mints")
	local quantity, account = quantity_of(m), m.Recipient or m.From
	set_balance(account, balance_of(account) + quantity)
	TotalSupply = tostring(bint(TotalSupply) + quantity)
	m.reply({ Action = "Minted", Recipient = account, Quantity = tostring(quantity), ["Total-Supply"] = TotalSupply })
end)

Handlers.add("transfer", "Transfer", function(m)
	assert(type(m.Recipient) == "string", "Recipient is missing")
	local quantity, balance = quantity_of(m), balance_of(m.From)
	if balance < quantity then
		m.reply({ Action = "Transfer-Error", ["Message-Id"] = m.Id, Error = "Insufficient Balance!" })
		return
	end
	set_balance(m.From, balance - quantity)
	set_balance(m.Recipient, balance_of(m.Recipient) + quantity)
	if m.Cast then return end
	Send({
		Target = m.From, Action = "Debit-Notice", Recipient = m.Recipient, Quantity = tostring(quantity),
		Data = "You sent " .. tostring(quantity) .. " " .. Ticker .. " to " .. m.Recipient,
	})
	Send({
		Target = m.Recipient, Action = "Credit-Notice", Sender = m.From, Quantity = tostring(quantity),
		Data = "You received " .. tostring(quantity) .. " " .. Ticker .. " from " .. m.From,
	})
end)
