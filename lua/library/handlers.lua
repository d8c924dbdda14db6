-- Handlers: who gets which message. They are asked in their order; the first that takes
-- a message for its own ends that.
local utils = require(".utils")

local handlers = { list = {}, onceNonce = 0, utils = {} }

local function index_of(name)
	for i, handler in ipairs(handlers.list) do
		if handler.name == name then return i end
	end
end

-- describe reads (name, pattern, handle [, maxRuns]), with name left out if it is the
-- pattern's text.
local function describe(...)
	local name, pattern, handle, max_runs = ...
	if type(pattern) == "function" and type(handle) ~= "function" and type(handle) ~= "table" then
		name, pattern, handle, max_runs = name, name, pattern, handle
	end
	assert(type(name) == "string", "a handler's name is a text")
	local kind = type(pattern)
	assert(kind == "function" or kind == "table" or kind == "string", "a handler's pattern is a function, a table or an action")
	assert(type(handle) == "function" or type(handle) == "table", "a handler's handle is a function")
	return { name = name, pattern = pattern, handle = handle, maxRuns = max_runs }
end

local function put(handler, at)
	local known = index_of(handler.name)
	if known then
		handlers.list[known] = handler
	else
		table.insert(handlers.list, at, handler)
	end
	return #handlers.list
end

function handlers.add(...) return put(describe(...), #handlers.list + 1) end
handlers.append = handlers.add
function handlers.prepend(...) return put(describe(...), 1) end

function handlers.before(name)
	return { add = function(...) return put(describe(...), index_of(name) or 1) end }
end

function handlers.after(name)
	return { add = function(...) return put(describe(...), (index_of(name) or #handlers.list) + 1) end }
end

function handlers.remove(name)
	local at = index_of(name)
	if at then table.remove(handlers.list, at) end
end

-- once adds a handler before all others that goes after its first message.
function handlers.once(...)
	local name, pattern, handle = ...
	if select("#", ...) == 2 then
		pattern, handle = ...
		handlers.onceNonce = handlers.onceNonce + 1
		name = "_once_" .. tostring(handlers.onceNonce)
	end
	return handlers.prepend(name, pattern, handle, 1)
end

-- receive waits, within a coroutine, for the next message of a pattern.
function handlers.receive(pattern)
	local waiting = coroutine.running()
	handlers.once(pattern, function(message)
		local ok, problem = coroutine.resume(waiting, message)
		if not ok then error(problem, 0) end
	end)
	return coroutine.yield()
end

-- taken says what a pattern's answer means: 0 or false, not this one; 1 or "continue",
-- this one and those behind it; -1, true or "break", this one alone.
local function taken(answer)
	if answer == "continue" or answer == 1 then return true, true end
	if answer == nil or answer == false or answer == 0 or answer == "skip" then return false end
	return true, false
end

local function ask(pattern, message)
	if type(pattern) == "string" or type(pattern) == "table" then return utils.matchesSpec(message, pattern) end
	return pattern(message)
end

local function run(handle, message)
	if type(handle) == "function" then return handle(message) end
	-- a table of patterns and functions
	for pattern, resolve in pairs(handle) do
		if utils.matchesSpec(message, pattern) then return run(resolve, message) end
	end
end

-- evaluate gives a message to the handlers. The one called _default gets what nobody
-- takes.
function handlers.evaluate(message, env)
	local handled, default = false, nil
	-- A handler may change the list.
	for _, handler in ipairs({ table.unpack(handlers.list) }) do
		local mine, more = taken(ask(handler.pattern, message))
		if handler.name == "_default" then
			default = handler
		elseif mine then
			if handler.maxRuns then
				handler.maxRuns = handler.maxRuns - 1
				if handler.maxRuns <= 0 then handlers.remove(handler.name) end
			end
			handled = not more
			run(handler.handle, message, env)
			if not more then return end
		end
	end
	if not handled and default then run(default.handle, message, env) end
end

function handlers.utils.hasMatchingTag(name, value)
	return function(message)
		return message.Tags ~= nil and message.Tags[name] == value
	end
end

function handlers.utils.hasMatchingTagOf(name, values)
	return function(message)
		return message.Tags ~= nil and utils.includes(message.Tags[name], values)
	end
end

function handlers.utils.hasMatchingData(value)
	return function(message) return message.Data == value end
end

function handlers.utils.reply(answer)
	return function(message)
		message.reply(type(answer) == "string" and { Data = answer } or answer)
	end
end

-- continue has the handlers behind this one asked, too.
function handlers.utils.continue(pattern)
	return function(message)
		return taken(ask(pattern, message)) and "continue" or false
	end
end

return handlers
