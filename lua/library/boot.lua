-- The first file that runs: it makes the globals of a process, runs the process's own
-- file, and gives the function that answers messages.
local native = require("native")
local json = require("json")

ao = require("ao")
Handlers = require(".handlers")
Colors = {
	red = "\27[31m", green = "\27[32m", blue = "\27[34m", reset = "\27[0m", gray = "\27[90m",
}
Utils = require(".utils")
Bell = "\x07"
Inbox, Errors = {}, {}
Owner, Name = Owner or "", Name or "aos"
MaxInbox = 10000

local pretty = require(".pretty")

-- What is printed while a message is in hand.
local printed = {}

local function shown(value)
	return type(value) == "table" and pretty.format(value) or tostring(value)
end

function print(...)
	local parts = {}
	for i = 1, select("#", ...) do parts[i] = shown((select(i, ...))) end
	printed[#printed + 1] = table.concat(parts, " ")
end
native.on_print(function(text) printed[#printed + 1] = text end)

function Send(message) return ao.send(message) end

function Spawn(...)
	local module, message = ...
	if select("#", ...) == 1 then module, message = ao._module, ... end
	return ao.spawn(module, message)
end

function Assign(assignment)
	local said = ao.assign(assignment)
	print(said)
	return said
end

function Receive(pattern) return Handlers.receive(pattern) end

function Tab(message)
	local tags = {}
	for _, tag in ipairs(message.Tags) do tags[tag.name] = tag.value end
	return tags
end

function Dump(value) return shown(value) end

function Prompt()
	return Colors.green .. Name .. Colors.gray .. "@" .. Colors.blue .. "wallaby" .. Colors.gray .. "[Inbox:" ..
		Colors.red .. tostring(#Inbox) .. Colors.gray .. "]" .. Colors.reset .. "> "
end

-- with_answers lets a message be answered and passed on.
local function with_answers(message)
	function message.reply(answer)
		answer.Target = answer.Target or message["Reply-To"] or message.From
		answer["X-Reference"] = answer["X-Reference"] or message["X-Reference"] or message.Reference
		answer["X-Origin"] = answer["X-Origin"] or message["X-Origin"]
		return ao.send(answer)
	end
	function message.forward(target, changes)
		local passed = { Target = target, Data = message.Data, Tags = {} }
		local from_protocol = { ["Data-Protocol"] = true, Variant = true, Type = true, Reference = true, ["From-Process"] = true, ["From-Module"] = true }
		for name, value in pairs(message.Tags) do
			if not from_protocol[name] then passed.Tags[name] = value end
		end
		for name, value in pairs(changes or {}) do
			if name == "Tags" then
				for tag, text in pairs(value) do passed.Tags[tag] = text end
			else
				passed[name] = value
			end
		end
		for name in pairs(passed) do passed.Tags[name] = nil end
		passed["Reply-To"] = message["Reply-To"] or message.From
		passed["X-Origin"] = message["X-Origin"] or message.From
		passed["X-Reference"] = message["X-Reference"] or message.Reference
		return ao.send(passed)
	end
	return message
end

-- to_inbox keeps what no handler takes.
local function to_inbox(message)
	table.insert(Inbox, message)
	while #Inbox > MaxInbox do table.remove(Inbox, 1) end
	if message.Id == ao.id then return end -- the process itself
	local from = message.From:sub(1, 3) .. "..." .. message.From:sub(-3)
	local what = message.Action and "Action = " .. Colors.blue .. message.Action:sub(1, 20) or
		"Data = " .. Colors.blue .. tostring(message.Data or ""):sub(1, 20)
	print(Colors.gray .. "New Message From " .. Colors.green .. from .. Colors.gray .. ": " .. Colors.gray .. what .. Colors.reset)
end

-- Eval runs the code that the owner sends: as an expression if it is one.
local function evaluate(message)
	local code, problem = load("return " .. message.Data, "@Eval")
	if not code then code, problem = load(message.Data, "@Eval") end
	if not code then
		ao.outbox.Error = problem
		return
	end
	local values = table.pack(code())
	for i = 1, values.n do
		if values[i] ~= nil then printed[#printed + 1] = shown(values[i]) end
	end
end

local function is_eval(message)
	return message.Action == "Eval" and message.From == Owner
end

Handlers.list = {
	{ name = "_eval", pattern = is_eval, handle = evaluate },
	{ name = "_default", pattern = function() return true end, handle = to_inbox },
}

-- dispatch runs in a coroutine of its own, so that a handler can wait for messages.
local function dispatch(message, env) Handlers.evaluate(message, env) end

-- where leaves out of a trace what is the library's.
local function where(problem, thread)
	local trace = {}
	for line in debug.traceback(thread):gmatch("\n\t([^\n]+)") do
		if not line:find("^%[C%]") and not line:find("^boot.lua") and not line:find("^handlers.lua") and not line:find("^%(...tail") then
			trace[#trace + 1] = "\n\t" .. line
		end
	end
	return tostring(problem) .. (#trace > 0 and "\n\nstack traceback:" .. table.concat(trace) or "")
end

-- The process's own file: a script that adds handlers, or a table with handle.
local own

local function load_process()
	for _, name in ipairs({ "process", "main" }) do
		if native.source(name) then
			local loaded = require(name)
			if type(loaded) == "table" and type(loaded.handle) == "function" then own = loaded end
			return
		end
	end
end

local function tags_of(message)
	message.TagArray = message.Tags
	local tags = {}
	for _, tag in ipairs(message.TagArray) do tags[tag.name] = tag.value end
	message.Tags = tags
	return ao.normalize(message)
end

local function begin(message, env)
	require(".chance").begin(message)
	ao.init(env)
	if Owner == "" then
		Owner = env.Process.Owner
		if env.Process.Tags["On-Boot"] == nil and env.Process.Tags.Name then Name = env.Process.Tags.Name end
	end
	load_process()
end

local function respond(message, error_text)
	if error_text or ao.outbox.Error then
		return { Error = error_text or ao.outbox.Error, Messages = {}, Spawns = {}, Assignments = {} }
	end
	local result = ao.result({})
	-- What comes of a message that the console's user did not send is shown there, too.
	result.Output = { data = table.concat(printed, "\n"), prompt = Prompt(), print = message.Action ~= "Eval" or nil }
	return result
end

local started = false

local function answer(message_text, env_text)
	local message, env = json.decode(message_text), json.decode(env_text)
	native.set_time(message.Timestamp or 0)
	ao.clearOutbox()
	printed = {}
	tags_of(message)
	if not started then
		begin(message, env)
		started = true
	end
	if own then
		local result = own.handle(message, ao)
		return { ok = true, response = type(result) == "table" and result or respond(message) }
	end
	if message.From ~= message.Owner and not ao.isTrusted(message) then
		print("Message is not trusted! From: " .. message.From .. " - Owner: " .. message.Owner)
		return { ok = true, response = respond(message) }
	end
	with_answers(message)
	local thread = coroutine.create(dispatch)
	local ok, problem = coroutine.resume(thread, message, env)
	if not ok then
		table.insert(Errors, problem)
		return { ok = true, response = respond(message, where(problem, thread)) }
	end
	return { ok = true, response = respond(message) }
end

return function(message, env) return json.encode(answer(message, env)) end
