-- A token of fixed supply that its owner hands out in whole numbers. A
-- transfer may name a next holder (X-Next), which the notice passes on.
Supply = Supply or 1000000
Ledger = Ledger or { [Owner] = Supply }
Refused = Refused or 0

local function amountOf(text)
  local amount = text and text:match("^%d+$") and math.tointeger(tonumber(text))
  return amount and amount > 0 and amount or nil
end

Handlers.add("token.transfer", { Action = "Transfer" }, function(msg)
  local to, amount = msg.Tags.Recipient, amountOf(msg.Tags.Quantity)
  local held = Ledger[msg.From] or 0
  if not to or not amount or amount > held then
    Refused = Refused + 1
    ao.send({ Target = msg.From, Action = "Transfer-Refused", Held = tostring(held) })
    return
  end
  Ledger[msg.From] = held - amount
  Ledger[to] = (Ledger[to] or 0) + amount
  ao.send({ Target = msg.From, Action = "Debit-Notice", Recipient = to, Quantity = tostring(amount) })
  ao.send({ Target = to, Action = "Credit-Notice", Sender = msg.From, Quantity = tostring(amount),
    ["X-Next"] = msg.Tags["X-Next"] })
end)

Handlers.add("token.holdings", { Action = "Holdings" }, function(msg)
  ao.send({ Target = msg.From, Action = "Holdings-Report", Data = require("json").encode(Ledger) })
end)

return "token"
