-- Small functions on lists and tables, and the matching of messages with patterns.
local utils = {}

local curried

local function values(t)
	if type(t) ~= "table" then error("a table is expected, not " .. type(t), 3) end
	return t
end

function utils.map(fn, list)
	local out = {}
	for i, value in ipairs(values(list)) do out[i] = fn(value, i) end
	return out
end

function utils.filter(fn, list)
	local out = {}
	for _, value in ipairs(values(list)) do
		if fn(value) then out[#out + 1] = value end
	end
	return out
end

function utils.reduce(fn, initial, list)
	local result = initial
	for i, value in ipairs(values(list)) do
		if result == nil then result = value else result = fn(result, value, i, list) end
	end
	return result
end

function utils.find(fn, list)
	for _, value in ipairs(values(list)) do
		if fn(value) then return value end
	end
end

function utils.includes(wanted, list)
	for _, value in ipairs(values(list)) do
		if value == wanted then return true end
	end
	return false
end

function utils.reverse(list)
	local out = {}
	for i = #values(list), 1, -1 do out[#out + 1] = list[i] end
	return out
end

function utils.concat(first, second)
	local out = { table.unpack(values(first)) }
	for _, value in ipairs(values(second)) do out[#out + 1] = value end
	return out
end

function utils.prop(name, t) return t[name] end

function utils.propEq(name, value, t) return t[name] == value end

function utils.keys(t)
	local out = {}
	for key in pairs(values(t)) do out[#out + 1] = key end
	return out
end

function utils.values(t)
	local out = {}
	for _, value in pairs(values(t)) do out[#out + 1] = value end
	return out
end

-- matches says whether a field fits what a pattern has for it: a function of it, "_" for
-- anything that is there, a list of alternatives, the very text, or a Lua pattern.
local function matches(value, wanted, message)
	if type(wanted) == "function" then return not not wanted(value, message) end
	if type(wanted) == "table" then
		for _, one in ipairs(wanted) do
			if matches(value, one, message) then return true end
		end
		return false
	end
	if wanted == "_" then return value ~= nil end
	if value == wanted then return true end
	return type(value) == "string" and type(wanted) == "string" and value:match(wanted) ~= nil
end

-- utils.matchesPattern says whether a message fits a pattern: a text is an Action, a
-- table has what its fields or tags must be, a function is asked.
function utils.matchesPattern(pattern, value, message)
	return matches(value, pattern, message)
end

function utils.matchesSpec(message, spec)
	if type(spec) == "function" then return spec(message) end
	if type(spec) == "string" then return message.Action == spec end
	if type(spec) ~= "table" then return false end
	for name, wanted in pairs(spec) do
		local field, tag = message[name], message.Tags and message.Tags[name]
		if not matches(field, wanted, message) and not matches(tag, wanted, message) then return false end
	end
	return true
end

-- Each takes its arguments one by one as well: utils.map(fn)(list).
function curried(fn, count)
	return function(...)
		local given = table.pack(...)
		if given.n >= count then return fn(...) end
		return curried(function(...)
			local all = { table.unpack(given, 1, given.n) }
			for i, value in ipairs({ ... }) do all[given.n + i] = value end
			return fn(table.unpack(all, 1, count))
		end, count - given.n)
	end
end

for name, count in pairs({ map = 2, filter = 2, reduce = 3, find = 2, includes = 2, concat = 2, prop = 2, propEq = 3 }) do
	utils[name] = curried(utils[name], count)
end

return utils
