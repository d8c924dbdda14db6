-- Chance that every replay has again: the Mersenne Twister MT19937 (Matsumoto and Nishimura,
-- 1998). A process seeds it with its first message, as aos does.
local chance = {}

local SIZE, SHIFT = 624, 397
local word, taken

-- The seed of words that nobody has asked for yet: most processes need none.
local seed = 5489

-- seed begins a sequence.
function chance.seed(number) seed = number & 0xffffffff end

-- begin makes the words of the seed.
local function begin()
	word = { [0] = seed }
	for i = 1, SIZE - 1 do
		word[i] = (1812433253 * (word[i - 1] ~ (word[i - 1] >> 30)) + i) & 0xffffffff
	end
	taken, seed = SIZE, nil
end

local function refill()
	for i = 0, SIZE - 1 do
		local both = (word[i] & 0x80000000) | (word[(i + 1) % SIZE] & 0x7fffffff)
		word[i] = word[(i + SHIFT) % SIZE] ~ (both >> 1) ~ (both & 1) * 0x9908b0df
	end
	taken = 0
end

-- random gives a number from 0 up to, and without, 1.
function chance.random()
	if seed then begin() end
	if taken == SIZE then refill() end
	local y = word[taken]
	taken = taken + 1
	y = y ~ (y >> 11)
	y = y ~ ((y << 7) & 0x9d2c5680)
	y = y ~ ((y << 15) & 0xefc60000)
	y = y ~ (y >> 18)
	return y / 4294967296
end

-- integer gives one of the whole numbers from least to most.
function chance.integer(least, most)
	if most < least then error("chance.integer: " .. most .. " is less than " .. least, 2) end
	return math.floor(chance.random() * (most - least + 1) + least)
end

-- begin seeds with a process's first message, and has math.random take from it.
function chance.begin(message)
	local sum = 0
	for _, byte in ipairs({ (message.Owner .. (message.Module or "") .. message.Id):byte(1, -1) }) do sum = sum + byte end
	chance.seed(math.tointeger((message["Block-Height"] or "0") .. sum) or sum)
	function math.random(...)
		local count, least, most = select("#", ...), ...
		if count == 1 then return chance.integer(1, least) end
		if count == 2 then return chance.integer(least, most) end
		return chance.random()
	end
end

return chance
