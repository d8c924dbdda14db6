-- An account: a process that holds tokens. Its owner has it send them on, and it counts
-- what it is told.
Received = Received or {}

Handlers.add("credit", "Credit-Notice", function(m)
	table.insert(Received, { from = m.Sender, quantity = m.Quantity })
	print("received " .. m.Quantity .. " from " .. m.Sender)
end)

Handlers.add("debit", "Debit-Notice", function(m)
	print("sent " .. m.Quantity .. " to " .. m.Recipient)
end)

Handlers.add("pay", "Pay", function(m)
	assert(m.From == Owner, "only the owner pays")
	Send({ Target = m.Token, Action = "Transfer", Recipient = m.Recipient, Quantity = m.Quantity })
end)
