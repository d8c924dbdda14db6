-- NORX64-4-1 (the submission to CAESAR, version 3), called as on aos: the tag is behind
-- what is encrypted.
local result = require(".result")

local header_tag, payload_tag, trailer_tag, final_tag = 1, 2, 4, 8
local rate = 96 -- bytes

local quarters = {
	{ 1, 5, 9, 13 }, { 2, 6, 10, 14 }, { 3, 7, 11, 15 }, { 4, 8, 12, 16 },
	{ 1, 6, 11, 16 }, { 2, 7, 12, 13 }, { 3, 8, 9, 14 }, { 4, 5, 10, 15 },
}

local function add(x, y) return x ~ y ~ (x & y) << 1 end
local function right(x, by) return x >> by | x << (64 - by) end

local function round(s)
	for _, q in ipairs(quarters) do
		local a, b, c, d = s[q[1]], s[q[2]], s[q[3]], s[q[4]]
		a = add(a, b)
		d = right(d ~ a, 8)
		c = add(c, d)
		b = right(b ~ c, 19)
		a = add(a, b)
		d = right(d ~ a, 40)
		c = add(c, d)
		b = right(b ~ c, 63)
		s[q[1]], s[q[2]], s[q[3]], s[q[4]] = a, b, c, d
	end
end

local function permute(s, tag)
	s[16] = s[16] ~ tag
	for _ = 1, 4 do round(s) end
end

local function with_key(s, key)
	for i, word in ipairs({ ("<i8i8i8i8"):unpack(key) }) do
		if i <= 4 then s[12 + i] = s[12 + i] ~ word end
	end
end

local function start(key, nonce)
	assert(#key == 32, "key must be 32 bytes")
	assert(#nonce == 32, "nonce must be 32 bytes")
	local s = {}
	for i = 1, 16 do s[i] = i - 1 end
	round(s)
	round(s)
	s[1], s[2], s[3], s[4] = ("<i8i8i8i8"):unpack(nonce)
	s[5], s[6], s[7], s[8] = ("<i8i8i8i8"):unpack(key)
	for i, parameter in ipairs({ 64, 4, 1, 256 }) do s[12 + i] = s[12 + i] ~ parameter end
	permute(s, 0)
	with_key(s, key)
	return s
end

-- pieces gives a text in blocks, the last of which is padded and may be empty.
local function pieces(text)
	local at = 1 - rate
	return function()
		at = at + rate
		if at > #text + 1 or #text == 0 then return end
		local piece = text:sub(at, at + rate - 1)
		if #piece == rate then return piece, rate end
		if #piece == rate - 1 then return piece .. "\x81", #piece end
		return piece .. "\x01" .. ("\0"):rep(rate - 2 - #piece) .. "\x80", #piece
	end
end

local function absorb(s, text, tag)
	for block in pieces(text) do
		permute(s, tag)
		for i = 1, 12 do s[i] = s[i] ~ ("<i8"):unpack(block, 8 * i - 7) end
	end
end

local function rate_of(s) return ("<" .. ("i8"):rep(12)):pack(table.unpack(s, 1, 12)) end

local function encrypt(s, text)
	local out = {}
	for block, length in pieces(text) do
		permute(s, payload_tag)
		for i = 1, 12 do s[i] = s[i] ~ ("<i8"):unpack(block, 8 * i - 7) end
		out[#out + 1] = rate_of(s):sub(1, length)
	end
	return table.concat(out)
end

-- decrypt puts what is covered in the state's place; behind it, the padding is added there.
local function decrypt(s, text)
	local out = {}
	for block, length in pieces(text) do
		permute(s, payload_tag)
		local before = rate_of(s)
		local padding = ("\0"):rep(length) .. block:sub(length + 1)
		local covered = block:sub(1, length) .. before:sub(length + 1)
		local plain = {}
		for i = 1, 12 do
			local at = 8 * i - 7
			local word = ("<i8"):unpack(covered, at) ~ ("<i8"):unpack(padding, at)
			plain[i] = ("<i8"):pack(s[i] ~ word)
			s[i] = word
		end
		out[#out + 1] = table.concat(plain):sub(1, length)
	end
	return table.concat(out)
end

local function tag(s, key)
	permute(s, final_tag)
	with_key(s, key)
	permute(s, 0)
	with_key(s, key)
	return ("<i8i8i8i8"):pack(table.unpack(s, 13, 16))
end

return {
	key_size = 32, nonce_size = 32, variant = "NORX 64-4-1",
	encrypt = function(key, nonce, text, header, trailer)
		local s = start(key, nonce)
		absorb(s, header or "", header_tag)
		local out = encrypt(s, text)
		absorb(s, trailer or "", trailer_tag)
		out = out .. tag(s, key)
		return result(out)
	end,
	-- decrypt gives nil and why when the text was altered.
	decrypt = function(key, nonce, text, header, trailer)
		if #text < 32 then return nil, "auth failure" end
		local s = start(key, nonce)
		absorb(s, header or "", header_tag)
		local out = decrypt(s, text:sub(1, -33))
		absorb(s, trailer or "", trailer_tag)
		if tag(s, key) ~= text:sub(-32) then return nil, "auth failure" end
		return out
	end,
}
