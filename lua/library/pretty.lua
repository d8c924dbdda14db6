-- Values as people read them, coloured as in a terminal.
local pretty = {}

local red, green, blue, reset = "\27[31m", "\27[32m", "\27[34m", "\27[0m"

local function is_list(t)
	local count = 0
	for _ in pairs(t) do count = count + 1 end
	return count == #t
end

local function sorted(t)
	local keys = {}
	for key in pairs(t) do keys[#keys + 1] = key end
	table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
	return keys
end

-- value gives a value on its own: a text in quotes.
local function value(v, indent, seen)
	if type(v) == "table" then return pretty.format(v, indent, seen) end
	if type(v) == "string" then return green .. '"' .. v .. '"' .. reset end
	return blue .. tostring(v) .. reset
end

-- format gives a table, indented by so many blanks. A table within itself is shown once.
function pretty.format(t, indent, seen)
	indent, seen = indent or 0, seen or {}
	if type(t) ~= "table" then return tostring(t) end
	if seen[t] then return "<circular reference>" end
	seen[t] = true
	local out
	local simple = is_list(t)
	for _, v in ipairs(t) do simple = simple and type(v) ~= "table" end
	if simple then
		local parts = {}
		for i, v in ipairs(t) do parts[i] = value(v, indent, seen) end
		out = #parts == 0 and "{  }" or "{ " .. table.concat(parts, ", ") .. " }"
	else
		local parts, list = {}, is_list(t)
		for i, key in ipairs(list and t or sorted(t)) do
			if list then
				parts[i] = (" "):rep(indent + 2) .. value(key, indent + 2, seen)
			else
				parts[i] = (" "):rep(indent + 3) .. red .. tostring(key) .. reset .. " = " .. value(t[key], indent + 2, seen)
			end
		end
		out = "{\n" .. table.concat(parts, ",\n") .. "\n" .. (" "):rep(list and indent + 1 or indent) .. "}"
	end
	seen[t] = nil
	return out
end

-- tprint gives a table as lines of "name: value", tables within it further to the right.
function pretty.tprint(t, indent)
	indent = indent or 0
	local out = ""
	for _, key in ipairs(sorted(t)) do
		local v = t[key]
		out = out .. ("  "):rep(indent) .. tostring(key) .. ": "
		out = out .. (type(v) == "table" and "\n" .. pretty.tprint(v, indent + 1) or tostring(v) .. "\n")
	end
	return out
end

return pretty
