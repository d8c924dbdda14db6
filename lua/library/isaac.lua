-- ISAAC (Bob Jenkins, 1996), called as on aos, which writes it issac: numbers, and a
-- cipher that shifts printable characters.
local result = require(".result")

local memory, results, used = {}, {}, 0
local a, b, c = 0, 0, 0

local mask = 0xffffffff
local shifts = { [0] = 13, -6, 2, -16 }
local function shift(x, by)
	if by < 0 then return x >> -by end
	return x << by & mask
end

local function refill()
	c = c + 1 & mask
	b = b + c & mask
	for i = 0, 255 do
		local x = memory[i]
		a = memory[i ~ 128] + (a ~ shift(a, shifts[i % 4])) & mask
		local y = memory[x >> 2 & 255] + a + b & mask
		memory[i] = y
		b = memory[y >> 10 & 255] + x & mask
		results[i] = b
	end
	used = 0
end

local stirs = { [0] = 11, -2, 8, -16, 10, -4, 8, -9 }
local function stir(words)
	for i = 0, 7 do
		local one, three = (i + 1) % 8, (i + 3) % 8
		words[i] = words[i] ~ shift(words[one], stirs[i])
		words[three] = words[three] + words[i] & mask
		words[one] = words[one] + words[(i + 2) % 8] & mask
	end
end

-- spread fills the memory, with what was there or in the seed added on the way.
local function spread(words, from)
	for at = 0, 255, 8 do
		for i = 0, 7 do words[i] = words[i] + (from and from[at + i] or 0) & mask end
		stir(words)
		for i = 0, 7 do memory[at + i] = words[i] end
	end
end

-- seed takes a text; with false for whole, as random has it, aos ignores what the text says.
local function seed(text, whole)
	a, b, c = 0, 0, 0
	local words, from = {}, nil
	for i = 0, 7 do words[i] = 0x9e3779b9 end
	for _ = 1, 4 do stir(words) end
	if whole then
		from = {}
		for i = 0, 255 do from[i] = text:byte(i + 1) or 0 end
	end
	spread(words, from)
	if whole then spread(words, memory) end
	refill()
end

local function get()
	local number = results[used]
	used = used + 1
	if used > 255 then refill() end
	return number
end

local function get_char() return get() % 95 + 32 end

-- random gives a number in a range. Without a seed it draws one from math.random, and is
-- the same each time nevertheless: aos does so.
local function random(min, max, text)
	min, max = min or 0, max or 2 ^ 31 - 1
	if text then seed(text, true) else seed(tostring(math.random(2 ^ 31 - 1)), false) end
	return get() % (max - min + 1) + min
end

local function turn(text, key, sign)
	seed(key, true)
	local out = {}
	for i = 1, #text do out[i] = string.char((text:byte(i) - 32 + sign * get_char()) % 95 + 32) end
	return out
end

return {
	seedIsaac = seed, getRandom = get, getRandomChar = get_char, random = random,
	encrypt = function(text, key)
		local out = turn(text, key, 1)
		local given = result(table.concat(out))
		given.asBytes = function() return out end -- characters, as on aos
		return given
	end,
	decrypt = function(text, key) return table.concat(turn(text, key, -1)) end,
}
