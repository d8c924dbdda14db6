-- MORUS-1280 (the submission to CAESAR, version 2), called as on aos: what is encrypted
-- is given with the additional data before it and the tag behind.
local result = require(".result")

local words = "<i8i8i8i8"

local function left(x, by) return x << by | x >> (64 - by) end

-- A state has five rows of four words. Each turn changes one row and moves another's words.
local turns = { { 13, 1 }, { 46, 2 }, { 38, 3 }, { 7, 2 }, { 4, 1 } }

local function update(rows, block)
	for i = 1, 5 do
		local by, move = turns[i][1], turns[i][2]
		local row, one, two, three = rows[i], rows[i % 5 + 1], rows[(i + 1) % 5 + 1], rows[(i + 2) % 5 + 1]
		for j = 1, 4 do
			local x = row[j] ~ (one[j] & two[j]) ~ three[j]
			if i > 1 then x = x ~ block[j] end
			row[j] = left(x, by)
		end
		for _ = 1, move do table.insert(three, 1, table.remove(three)) end
	end
end

local nothing = { 0, 0, 0, 0 }

local function start(key, iv)
	assert(#key == 16 or #key == 32, "key must be 16 or 32 bytes")
	assert(#iv == 16, "iv must be 16 bytes")
	local k = #key == 32 and { words:unpack(key) } or { words:unpack(key .. key:sub(9) .. key:sub(1, 8)) }
	local iv1, iv2 = ("<i8i8"):unpack(iv)
	local rows = {
		{ iv1, iv2, 0, 0 }, { k[1], k[2], k[3], k[4] }, { -1, -1, -1, -1 }, { 0, 0, 0, 0 },
		{ 0x0d08050302010100, 0x6279e99059372215, 0xf12fc26d55183ddb, 0xdd28b57342311120 }, -- Fibonacci's numbers
	}
	for _ = 1, 16 do update(rows, nothing) end
	for j = 1, 4 do rows[2][j] = rows[2][j] ~ k[j] end
	return rows
end

-- pad gives what a block is covered with.
local function pad(rows)
	local out = {}
	for j = 1, 4 do out[j] = rows[1][j] ~ rows[2][j % 4 + 1] ~ (rows[3][j] & rows[4][j]) end
	return out
end

local function xor(x, y) return { x[1] ~ y[1], x[2] ~ y[2], x[3] ~ y[3], x[4] ~ y[4] } end

local function block_of(text) return { words:unpack(text .. ("\0"):rep(32 - #text)) } end

-- cover runs a text through the state, which takes up what is not covered.
local function cover(rows, text, covered)
	local out = {}
	for at = 1, #text, 32 do
		local piece = text:sub(at, at + 31)
		local block = block_of(piece)
		local other = words:pack(table.unpack(xor(block, pad(rows)))):sub(1, #piece)
		out[#out + 1] = other
		update(rows, covered and block_of(other) or block)
	end
	return table.concat(out)
end

local function tag(rows, length, additional)
	rows[5] = xor(rows[5], rows[1])
	for _ = 1, 10 do update(rows, { additional << 3, length << 3, 0, 0 }) end
	return ("<i8i8"):pack(table.unpack(pad(rows), 1, 2))
end

return {
	key_size = 32, nonce_size = 16, variant = "Morus-1280",
	encrypt = function(key, iv, text, additional)
		additional = additional or ""
		local rows = start(key, iv)
		cover(rows, additional)
		local out = additional .. cover(rows, text)
		out = out .. tag(rows, #text, #additional)
		return result(out)
	end,
	-- decrypt gives nil and why when the text was altered.
	decrypt = function(key, iv, text, additional)
		additional = additional or 0
		if #text < additional + 16 then return nil, "decrypt error" end
		local rows = start(key, iv)
		cover(rows, text:sub(1, additional))
		local out = cover(rows, text:sub(additional + 1, -17), true)
		if tag(rows, #out, additional) ~= text:sub(-16) then return nil, "decrypt error" end
		return out
	end,
}
