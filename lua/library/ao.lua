-- What a process sends: messages, spawns and assignments, gathered until the message in
-- hand is done.
local ao = { id = "", _module = "", authorities = {}, reference = 0, env = {}, outbox = {} }

-- Names that a sender's table keeps for itself; all others become tags.
local reserved = {}
for _, name in ipairs({ "Target", "Data", "Anchor", "Tags", "TagArray", "From", "Owner", "Id", "receive", "onReply", "output" }) do
	reserved[name] = true
end

function ao.clearOutbox()
	ao.outbox = { Output = {}, Messages = {}, Spawns = {}, Assignments = {} }
end

local function text(value)
	return type(value) == "string" and value or tostring(value)
end

local function sorted_keys(t)
	local keys = {}
	for key in pairs(t) do
		if type(key) == "string" then keys[#keys + 1] = key end
	end
	table.sort(keys)
	return keys
end

-- add_tags appends a sender's own tags, in order of their names: tables have none.
local function add_tags(tags, message)
	for _, name in ipairs(sorted_keys(message)) do
		if not reserved[name] then
			tags[#tags + 1] = { name = name, value = text(message[name]) }
		end
	end
	local own = message.Tags
	if type(own) ~= "table" then return end
	for _, tag in ipairs(own) do
		if type(tag) == "table" and tag.name and tag.value ~= nil then
			tags[#tags + 1] = { name = tag.name, value = text(tag.value) }
		end
	end
	for _, name in ipairs(sorted_keys(own)) do
		tags[#tags + 1] = { name = name, value = text(own[name]) }
	end
end

local function next_reference()
	ao.reference = ao.reference + 1
	return tostring(ao.reference)
end

local function anchor(reference)
	return ("0"):rep(32 - #reference) .. reference
end

-- matches_reply is the pattern of messages that answer the one with a reference.
local function matches_reply(reference, from)
	return { ["X-Reference"] = reference, From = from or "_" }
end

function ao.send(message)
	assert(type(message) == "table", "ao.send: a message is a table")
	local reference = next_reference()
	local sent = {
		Target = message.Target, Data = message.Data, Anchor = anchor(reference),
		Tags = {
			{ name = "Data-Protocol", value = "ao" }, { name = "Variant", value = "ao.TN.1" },
			{ name = "Type", value = "Message" }, { name = "Reference", value = reference },
		},
	}
	add_tags(sent.Tags, message)
	table.insert(ao.outbox.Messages, sent)
	local result = { Target = sent.Target, Data = sent.Data, Anchor = sent.Anchor, Tags = sent.Tags, output = "Message added to outbox" }
	function result.onReply(...)
		local from, resolve = message.Target, ...
		if select("#", ...) == 2 then from, resolve = ... end
		Handlers.once(matches_reply(reference, from), resolve)
	end
	function result.receive(...)
		local from = message.Target
		if select("#", ...) == 1 then from = ... end
		return Handlers.receive(matches_reply(reference, from))
	end
	return result
end

function ao.spawn(module, message)
	assert(type(module) == "string", "ao.spawn: the module is named by its id")
	assert(type(message) == "table", "ao.spawn: the message is a table")
	local reference = next_reference()
	local spawned = {
		Data = message.Data or "NODATA", Anchor = anchor(reference),
		Tags = {
			{ name = "Data-Protocol", value = "ao" }, { name = "Variant", value = "ao.TN.1" },
			{ name = "Type", value = "Process" }, { name = "From-Process", value = ao.id },
			{ name = "From-Module", value = ao._module }, { name = "Module", value = module },
			{ name = "Reference", value = reference },
		},
	}
	add_tags(spawned.Tags, message)
	table.insert(ao.outbox.Spawns, spawned)
	local result = { output = "Spawn process request added to outbox" }
	local pattern = { Action = "Spawned", From = ao.id, ["Reference"] = reference }
	function result.onReply(resolve) Handlers.once(pattern, resolve) end
	function result.receive() return Handlers.receive(pattern) end
	return result
end

function ao.assign(assignment)
	assert(type(assignment) == "table", "ao.assign: an assignment is a table")
	assert(type(assignment.Processes) == "table", "ao.assign: Processes is a list of ids")
	assert(type(assignment.Message) == "string", "ao.assign: Message is an id")
	table.insert(ao.outbox.Assignments, assignment)
	return "Assignment added to outbox."
end

-- ao.isTrusted says whether a message that was pushed comes from an authority of the
-- process. Without authorities nobody is.
function ao.isTrusted(message)
	for _, authority in ipairs(ao.authorities) do
		if message.From == authority or message.Owner == authority then return true end
	end
	return false
end

function ao.result(result)
	if result.Error or ao.outbox.Error then
		return { Error = result.Error or ao.outbox.Error }
	end
	return {
		Output = result.Output or ao.outbox.Output, Messages = ao.outbox.Messages,
		Spawns = ao.outbox.Spawns, Assignments = ao.outbox.Assignments,
	}
end

function ao.log(value)
	if type(ao.outbox.Output) == "string" then ao.outbox.Output = { ao.outbox.Output } end
	table.insert(ao.outbox.Output, value)
end

-- ao.normalize gives a message its tags as fields.
function ao.normalize(message)
	for _, tag in ipairs(message.TagArray or message.Tags) do
		if not reserved[tag.name] then message[tag.name] = tag.value end
	end
	return message
end

-- ao.init takes up who the process is from the environment.
function ao.init(env)
	if ao.id ~= "" then return end
	ao.id, ao.env = env.Process.Id, env
	for _, tag in ipairs(env.Process.Tags) do
		if tag.name == "Module" then ao._module = tag.value end
		if tag.name == "Authority" then table.insert(ao.authorities, tag.value) end
	end
	local tags = {}
	for _, tag in ipairs(env.Process.Tags) do tags[tag.name] = tag.value end
	env.Process.Tags = tags
end

ao.clearOutbox()
return ao
