-- A board of quests. Somebody posts one with a reward in a token that they have sent to
-- the board; somebody else takes it; the reward is theirs when the poster says that it
-- is done, and the poster's again when it is called off.
local bint = require(".bint")(256)
local json = require("json")

Token = Token or ao.env.Process.Tags.Token
Deposits = Deposits or {} -- what posters have here, by address
Quests = Quests or {}

local function pay(recipient, quantity)
	Send({ Target = Token, Action = "Transfer", Recipient = recipient, Quantity = quantity })
end

Handlers.add("deposit", "Credit-Notice", function(m)
	assert(m.From == Token, "only notices of the token " .. tostring(Token) .. " count")
	Deposits[m.Sender] = tostring(bint(Deposits[m.Sender] or "0") + bint(m.Quantity))
end)

Handlers.add("post", "Post", function(m)
	local reward = bint.fromstring(m.Reward or "")
	assert(reward and bint.ispos(reward), "Reward must be a whole number above 0")
	local left = bint(Deposits[m.From] or "0") - reward
	assert(not bint.isneg(left), "send the reward to the board first")
	Deposits[m.From] = tostring(left)
	table.insert(Quests, { id = #Quests + 1, by = m.From, text = m.Data, reward = tostring(reward), state = "open" })
	m.reply({ Action = "Posted", Quest = tostring(#Quests) })
end)

-- quest_of gives the quest that a message is about, if it is in one of the states.
local function quest_of(m, ...)
	local quest = assert(Quests[math.tointeger(tonumber(m.Quest))], "there is no such Quest")
	for _, state in ipairs({ ... }) do
		if quest.state == state then return quest end
	end
	error("the quest is " .. quest.state)
end

Handlers.add("take", "Take", function(m)
	local quest = quest_of(m, "open")
	quest.state, quest.taker = "taken", m.From
	Send({ Target = quest.by, Action = "Taken", Quest = m.Quest, Taker = m.From })
end)

Handlers.add("done", "Done", function(m)
	local quest = quest_of(m, "taken")
	assert(m.From == quest.by, "only who posted it says that it is done")
	quest.state = "done"
	pay(quest.taker, quest.reward)
end)

Handlers.add("cancel", "Cancel", function(m)
	local quest = quest_of(m, "open", "taken")
	assert(m.From == quest.by, "only who posted it calls it off")
	quest.state = "cancelled"
	pay(quest.by, quest.reward)
end)

Handlers.add("list", "List", function(m) m.reply({ Data = json.encode(Quests) }) end)
