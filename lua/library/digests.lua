-- Digests that are seldom asked for, in Lua; each makes a text of a text. Those that are
-- asked for often are the runtime's own.
local native = require("native")

local digests = {}

-- blocks gives a text in pieces, its length in bits behind it, as MD5 and the SHAs want it.
local function blocks(text, length_format)
	local padded = text .. "\x80" .. ("\0"):rep((55 - #text) % 64) .. length_format:pack(#text * 8)
	local at = 1 - 64
	return function()
		at = at + 64
		if at < #padded then return padded, at end
	end
end

local function left32(x, by) return (x << by | (x & 0xffffffff) >> (32 - by)) & 0xffffffff end

-- MD5 (RFC 1321).
local turns = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } }
local order = { { 1, 0 }, { 5, 1 }, { 3, 5 }, { 7, 0 } }

function digests.md5(text)
	local a, b, c, d = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476
	for padded, at in blocks(text, "<I8") do
		local word = { ("<I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4"):unpack(padded, at) }
		local w, x, y, z = a, b, c, d
		for i = 0, 63 do
			local round, mixed = i // 16 + 1, nil
			if round == 1 then mixed = x & y | ~x & z
			elseif round == 2 then mixed = x & z | y & ~z
			elseif round == 3 then mixed = x ~ y ~ z
			else mixed = y ~ (x | ~z) end
			local step, from = order[round][1], order[round][2]
			local constant = math.floor(math.abs(math.sin(i + 1)) * 4294967296)
			local sum = w + mixed + constant + word[(step * i + from) % 16 + 1]
			w, x, y, z = z, x + left32(sum, turns[round][i % 4 + 1]) & 0xffffffff, x, y
		end
		a, b, c, d = a + w & 0xffffffff, b + x & 0xffffffff, c + y & 0xffffffff, d + z & 0xffffffff
	end
	return ("<I4I4I4I4"):pack(a, b, c, d)
end

-- MD4 (RFC 1320).
local turns4 = { { 3, 7, 11, 19 }, { 3, 5, 9, 13 }, { 3, 9, 11, 15 } }
local order4 = { 0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15 }

function digests.md4(text)
	local a, b, c, d = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476
	for padded, at in blocks(text, "<I8") do
		local word = { ("<I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4"):unpack(padded, at) }
		local w, x, y, z = a, b, c, d
		for i = 0, 47 do
			local round, step, mixed, from = i // 16 + 1, i % 16, nil, nil
			if round == 1 then mixed, from = x & y | ~x & z, step
			elseif round == 2 then mixed, from = (x & y | x & z | y & z) + 0x5a827999, step % 4 * 4 + step // 4
			else mixed, from = (x ~ y ~ z) + 0x6ed9eba1, order4[step + 1] end
			w, x, y, z = z, left32(w + mixed + word[from + 1], turns4[round][i % 4 + 1]), x, y
		end
		a, b, c, d = a + w & 0xffffffff, b + x & 0xffffffff, c + y & 0xffffffff, d + z & 0xffffffff
	end
	return ("<I4I4I4I4"):pack(a, b, c, d)
end

-- MD2 (RFC 1319); the table is the RFC's, a shuffle by the digits of pi.
local shuffled = native.hex_decode(
	"292e43c9a2d87c013d3654a1ecf0061362a705f3c0c7738c98932bd9bc4c82ca1e9b573cfdd4e01667426f188a17e512" ..
	"be4ec4d6da9ede49a0fbf58ebb2fee7aa968799115b2073f94c210890b225f21807f5d9a5a903227353ecce7bff79703" ..
	"ff1930b348a5b5d1d75e922aac56aac64fb838d296a47db676fc6be29c7404f1459d705964718720865bcf65e62da802" ..
	"1b6025adaeb0b9f61c46616934407e0f5547a323dd51af3ac35cf9cebac5ea262c530d6e85288409d3dfcdf441814d52" ..
	"6adc37c86cc1abfa24e17b080cbdb14a7888958be363e86de9cbd5fe3b001d39f2efb70e6658d0e4a67772f8eb754b0a" ..
	"314450b48fed1f1adb998d339f118314"
)

function digests.md2(text)
	local left = 16 - #text % 16
	text = text .. string.char(left):rep(left)
	local sum, last = {}, 0
	for i = 1, 16 do sum[i] = 0 end
	for at = 1, #text do
		local i = (at - 1) % 16 + 1
		sum[i] = sum[i] ~ shuffled:byte((text:byte(at) ~ last) + 1)
		last = sum[i]
	end
	text = text .. string.char(table.unpack(sum))
	local state = {}
	for i = 1, 16 do state[i] = 0 end
	for at = 1, #text, 16 do
		for i = 1, 16 do
			state[16 + i] = text:byte(at + i - 1)
			state[32 + i] = state[i] ~ state[16 + i]
		end
		local byte = 0
		for round = 0, 17 do
			for i = 1, 48 do
				byte = state[i] ~ shuffled:byte(byte + 1)
				state[i] = byte
			end
			byte = byte + round & 0xff
		end
	end
	return string.char(table.unpack(state, 1, 16))
end

-- SHA-1 (FIPS 180-4).
function digests.sha1(text)
	local state = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 }
	for padded, at in blocks(text, ">I8") do
		local word = { (">I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4"):unpack(padded, at) }
		for i = 17, 80 do word[i] = left32(word[i - 3] ~ word[i - 8] ~ word[i - 14] ~ word[i - 16], 1) end
		local a, b, c, d, e = table.unpack(state)
		for i = 0, 79 do
			local mixed, constant
			if i < 20 then mixed, constant = b & c | ~b & d, 0x5a827999
			elseif i < 40 then mixed, constant = b ~ c ~ d, 0x6ed9eba1
			elseif i < 60 then mixed, constant = b & c | b & d | c & d, 0x8f1bbcdc
			else mixed, constant = b ~ c ~ d, 0xca62c1d6 end
			local sum = left32(a, 5) + (mixed & 0xffffffff) + e + constant + word[i + 1]
			a, b, c, d, e = sum & 0xffffffff, a, left32(b, 30), c, d
		end
		for i, value in ipairs({ a, b, c, d, e }) do state[i] = state[i] + value & 0xffffffff end
	end
	return (">I4I4I4I4I4"):pack(table.unpack(state))
end

-- BLAKE2b (RFC 7693). The start is that of SHA-512; each round takes its words in an order
-- of its own.
local start = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}
local orders = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, { 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 }, { 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 }, { 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 }, { 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 }, { 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
}
local quarters = {
	{ 1, 5, 9, 13 }, { 2, 6, 10, 14 }, { 3, 7, 11, 15 }, { 4, 8, 12, 16 },
	{ 1, 6, 11, 16 }, { 2, 7, 12, 13 }, { 3, 8, 9, 14 }, { 4, 5, 10, 15 },
}

local function right64(x, by) return x >> by | x << (64 - by) end

local function mix(v, quarter, x, y)
	local a, b, c, d = quarter[1], quarter[2], quarter[3], quarter[4]
	v[a] = v[a] + v[b] + x
	v[d] = right64(v[d] ~ v[a], 32)
	v[c] = v[c] + v[d]
	v[b] = right64(v[b] ~ v[c], 24)
	v[a] = v[a] + v[b] + y
	v[d] = right64(v[d] ~ v[a], 16)
	v[c] = v[c] + v[d]
	v[b] = right64(v[b] ~ v[c], 63)
end

-- Length is in bytes, from 1 to 64; the key has up to 64.
function digests.blake2b(text, length, key)
	length, key = length or 64, key or ""
	if length < 1 or length > 64 or #key > 64 then error("blake2b: the length is 1 to 64 bytes, and the key at most 64", 2) end
	local state = { table.unpack(start) }
	state[1] = state[1] ~ 0x01010000 ~ #key << 8 ~ length
	if #key > 0 then text = key .. ("\0"):rep(128 - #key) .. text end
	local padded = text .. ("\0"):rep(#text == 0 and 128 or -#text % 128)
	for at = 1, #padded, 128 do
		local word = { ("<i8i8i8i8i8i8i8i8i8i8i8i8i8i8i8i8"):unpack(padded, at) }
		local v = table.move(start, 1, 8, 9, { table.unpack(state) })
		v[13] = v[13] ~ math.min(at + 127, #text)
		if at + 127 >= #padded then v[15] = ~v[15] end
		for round = 0, 11 do
			local taken = orders[round % 10 + 1]
			for i, quarter in ipairs(quarters) do mix(v, quarter, word[taken[2 * i - 1] + 1], word[taken[2 * i] + 1]) end
		end
		for i = 1, 8 do state[i] = state[i] ~ v[i] ~ v[i + 8] end
	end
	return ("<i8i8i8i8i8i8i8i8"):pack(table.unpack(state)):sub(1, length)
end

return digests
