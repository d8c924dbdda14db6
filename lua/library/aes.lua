-- AES (FIPS 197) in the modes of SP 800-38A, called as on aos.
local native = require("native")
local result = require(".result")

-- The S-box is made of the inverses in GF(2^8) when it is first needed.
local sub, inverse_sub

local function double(x) return (x << 1 ~ (x >> 7) * 0x11b) & 0xff end

local function make_boxes()
	sub, inverse_sub = { [0] = 0x63 }, { [0x63] = 0 }
	local x, inverse = 1, 1
	repeat
		x = x ~ double(x) -- times 3
		inverse = inverse ~ inverse << 1
		inverse = inverse ~ inverse << 2
		inverse = (inverse ~ inverse << 4) & 0xff
		if inverse & 0x80 ~= 0 then inverse = inverse ~ 0x09 end -- divided by 3
		local ring = inverse * 0x101
		sub[x] = (ring ~ ring >> 7 ~ ring >> 6 ~ ring >> 5 ~ ring >> 4 ~ 0x63) & 0xff
		inverse_sub[sub[x]] = x
	until x == 1
end

-- expand gives the round keys, each a list of 16 bytes.
local function expand(key)
	if not sub then make_boxes() end
	local bytes, size, constant = { key:byte(1, -1) }, #key, 1
	for at = size, 16 * (size // 4 + 7) - 1, 4 do
		local a, b, c, d = table.unpack(bytes, at - 3, at)
		if at % size == 0 then
			a, b, c, d = sub[b] ~ constant, sub[c], sub[d], sub[a]
			constant = double(constant)
		elseif size == 32 and at % size == 16 then
			a, b, c, d = sub[a], sub[b], sub[c], sub[d]
		end
		for i, byte in ipairs({ a, b, c, d }) do bytes[at + i] = bytes[at - size + i] ~ byte end
	end
	local rounds = {}
	for at = 1, #bytes, 16 do rounds[#rounds + 1] = { table.unpack(bytes, at, at + 15) } end
	return rounds
end

local function add(state, key)
	for i = 1, 16 do state[i] = state[i] ~ key[i] end
end

-- A row's bytes move by its number; the state is in columns.
local function substitute(state, box, step)
	local moved = {}
	for i = 0, 15 do moved[i + 1] = box[state[(i + step * (i % 4) * 4) % 16 + 1]] end
	return moved
end

local function mix(state)
	for at = 1, 13, 4 do
		local a, b, c, d = table.unpack(state, at, at + 3)
		local all = a ~ b ~ c ~ d
		state[at], state[at + 1] = a ~ all ~ double(a ~ b), b ~ all ~ double(b ~ c)
		state[at + 2], state[at + 3] = c ~ all ~ double(c ~ d), d ~ all ~ double(d ~ a)
	end
end

local function unmix(state)
	for at = 1, 13, 4 do
		local even = double(double(state[at] ~ state[at + 2]))
		local odd = double(double(state[at + 1] ~ state[at + 3]))
		state[at], state[at + 2] = state[at] ~ even, state[at + 2] ~ even
		state[at + 1], state[at + 3] = state[at + 1] ~ odd, state[at + 3] ~ odd
	end
	mix(state)
end

local function encrypt_block(keys, block)
	local state = { block:byte(1, 16) }
	add(state, keys[1])
	for round = 2, #keys do
		state = substitute(state, sub, 1)
		if round < #keys then mix(state) end
		add(state, keys[round])
	end
	return string.char(table.unpack(state))
end

local function decrypt_block(keys, block)
	local state = { block:byte(1, 16) }
	for round = #keys, 2, -1 do
		add(state, keys[round])
		if round < #keys then unmix(state) end
		state = substitute(state, inverse_sub, -1)
	end
	add(state, keys[1])
	return string.char(table.unpack(state))
end

local function xor(x, y)
	local a, b = ("<i8i8"):unpack(x)
	local c, d = ("<i8i8"):unpack(y)
	return ("<i8i8"):pack(a ~ c, b ~ d)
end

-- count goes on in the last eight bytes.
local function count(block)
	local head, tail = (">i8i8"):unpack(block)
	return (">i8i8"):pack(head, tail + 1)
end

-- A mode gives a block's text and what the next block is chained to.
local function stream_mode(next_of)
	local function run(keys, chain, block)
		local pad = encrypt_block(keys, chain)
		local out = xor(pad, block)
		return out, next_of(chain, pad, out)
	end
	return { run, run }
end

local modes = {
	CBC = {
		function(keys, chain, block)
			local out = encrypt_block(keys, xor(chain, block))
			return out, out
		end,
		function(keys, chain, block) return xor(decrypt_block(keys, block), chain), block end,
	},
	ECB = {
		function(keys, _, block) return encrypt_block(keys, block), "" end,
		function(keys, _, block) return decrypt_block(keys, block), "" end,
	},
	CFB = {
		stream_mode(function(_, _, out) return out end)[1],
		function(keys, chain, block) return xor(encrypt_block(keys, chain), block), block end,
	},
	OFB = stream_mode(function(_, pad) return pad end),
	CTR = stream_mode(count),
}

local zeros = ("\0"):rep(16)

-- run takes the direction: 1 there, 2 back. What is left of the last block is filled with
-- zeros, which stay when it is decrypted. In ECB, aos takes what should start a chain for
-- a block of the text.
local function run(direction, text, key, iv, mode, bits)
	local size = (bits == 192 or bits == 256) and bits // 8 or 16
	if #key < size then error("aes: the key has " .. #key .. " bytes, and needs " .. size, 3) end
	local keys, step = expand(key:sub(1, size)), (modes[mode] or modes.CBC)[direction]
	text = (iv or zeros) .. text
	text = text .. ("\0"):rep(-#text % 16)
	local first, chain = 17, text:sub(1, 16)
	if mode == "ECB" then first = 1 end
	local out = {}
	for at = first, #text, 16 do out[#out + 1], chain = step(keys, chain, text:sub(at, at + 15)) end
	out = table.concat(out)
	return result(out, native.hex_encode(out):upper())
end

return {
	encrypt = function(text, key, iv, mode, bits) return run(1, text, key, iv, mode, bits) end,
	decrypt = function(hex, key, iv, mode, bits) return run(2, native.hex_decode(hex), key, iv, mode, bits) end,
}
