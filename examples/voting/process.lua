-- Votes on proposals. Everyone who holds shares votes with as many as they have; a
-- proposal ends at a time, and whoever asks then gets the outcome.
local json = require("json")

Shares = Shares or {}
Proposals = Proposals or {}

local function shares_of(account) return Shares[account] or 0 end

Handlers.add("grant", "Grant", function(m)
	assert(m.From == Owner, "only the owner grants shares")
	local count = math.tointeger(tonumber(m.Quantity))
	assert(count and count > 0, "Quantity must be a whole number above 0")
	Shares[m.Recipient] = shares_of(m.Recipient) + count
end)

Handlers.add("propose", "Propose", function(m)
	assert(shares_of(m.From) > 0, "only who holds shares proposes")
	local minutes = tonumber(m.Minutes or "1440")
	assert(minutes and minutes > 0, "Minutes must be a number above 0")
	table.insert(Proposals, { text = m.Data, ends = m.Timestamp + minutes * 60000, votes = {} })
	m.reply({ Action = "Proposed", Proposal = tostring(#Proposals) })
end)

local function proposal_of(m)
	return assert(Proposals[math.tointeger(tonumber(m.Proposal))], "there is no such Proposal")
end

Handlers.add("vote", "Vote", function(m)
	local proposal = proposal_of(m)
	assert(m.Timestamp < proposal.ends, "the vote is over")
	assert(shares_of(m.From) > 0, "only who holds shares votes")
	assert(m.Side == "yay" or m.Side == "nay", "Side must be yay or nay")
	proposal.votes[m.From] = m.Side -- a second vote replaces the first
end)

-- What counts is what voters hold when it is counted.
Handlers.add("outcome", "Outcome", function(m)
	local proposal, count = proposal_of(m), { yay = 0, nay = 0 }
	for account, side in pairs(proposal.votes) do count[side] = count[side] + shares_of(account) end
	local state = "open"
	if m.Timestamp >= proposal.ends then state = count.yay > count.nay and "passed" or "failed" end
	m.reply({ Action = "Outcome", State = state, Yay = tostring(count.yay), Nay = tostring(count.nay) })
end)
