-- A holder of tokens counts what it is told, and hands one token on when a
-- notice names a next holder.
Token = Token or ""
Received = Received or 0
Spent = Spent or 0
Notices = Notices or 0

local function fromToken(action)
  return function(msg) return msg.Tags.Action == action and msg.From == Token end
end

Handlers.add("holder.credit", fromToken("Credit-Notice"), function(msg)
  Received = Received + math.tointeger(tonumber(msg.Tags.Quantity))
  Notices = Notices + 1
  local next = msg.Tags["X-Next"]
  if next then
    ao.send({ Target = Token, Action = "Transfer", Recipient = next, Quantity = "1" })
  end
end)

Handlers.add("holder.debit", fromToken("Debit-Notice"), function(msg)
  Spent = Spent + math.tointeger(tonumber(msg.Tags.Quantity))
end)

return "holder"
