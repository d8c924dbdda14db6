local function begin()
	local votes = spawn({ Owner = "chair" })
	votes:send({ Action = "Grant", Recipient = address("alice"), Quantity = 60 })
	votes:send({ Action = "Grant", Recipient = address("bob"), Quantity = 40 })
	votes:send({ From = "alice", Action = "Propose", Data = "tea for all", Minutes = 60 })
	return votes
end

local function outcome(votes)
	local answer = votes:send({ Action = "Outcome", Proposal = 1 }).Messages[1]
	return answer.State .. " " .. answer.Yay .. ":" .. answer.Nay
end

test("shares count, not heads", function()
	local votes = begin()
	votes:send({ From = "alice", Action = "Vote", Proposal = 1, Side = "yay" })
	votes:send({ From = "bob", Action = "Vote", Proposal = 1, Side = "nay" })
	equal(outcome(votes), "open 60:40")
	advance(3600)
	equal(outcome(votes), "passed 60:40")
end)

test("a second vote replaces the first, and none comes late", function()
	local votes = begin()
	votes:send({ From = "bob", Action = "Vote", Proposal = 1, Side = "yay" })
	votes:send({ From = "bob", Action = "Vote", Proposal = 1, Side = "nay" })
	equal(outcome(votes), "open 0:40")
	advance(3600)
	contains(votes:send({ From = "alice", Action = "Vote", Proposal = 1, Side = "yay" }).Error, "the vote is over")
	equal(outcome(votes), "failed 0:40")
end)

test("who holds nothing has no say", function()
	local votes = begin()
	contains(votes:send({ From = "eve", Action = "Propose", Data = "x" }).Error, "holds shares")
	contains(votes:send({ From = "eve", Action = "Vote", Proposal = 1, Side = "yay" }).Error, "holds shares")
	contains(votes:send({ From = "eve", Action = "Grant", Recipient = address("eve"), Quantity = 5 }).Error, "only the owner")
	contains(votes:send({ From = "bob", Action = "Vote", Proposal = 7, Side = "yay" }).Error, "no such Proposal")
end)
