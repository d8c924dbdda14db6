-- Digests, and what is made of them, as aos has them: each gives an object with asHex,
-- asBytes and asString. A stream is a function that gives one byte after the other.
local native = require("native")
local digests = require(".digests")
local result = require(".result")
local cipher = { aes = require(".aes"), issac = require(".isaac"), morus = require(".morus"), norx = require(".norx") }

local function text_of(data)
	if type(data) ~= "function" then return data end
	local parts = {}
	for byte in data do parts[#parts + 1] = string.char(byte) end
	return table.concat(parts)
end

local function bytes_of(text)
	local bytes = {}
	for i = 1, #text do bytes[i] = text:byte(i) end
	return bytes
end

local function text_of_bytes(bytes)
	local parts = {}
	for i, byte in ipairs(bytes) do parts[i] = string.char(byte) end
	return table.concat(parts)
end

local function upper_hex(text) return native.hex_encode(text):upper() end

-- digest takes a text, or a stream of one.
local function digest(hash)
	return function(data, ...) return result(hash(text_of(data), ...)) end
end

-- by_hex is digest for the runtime's own, which give hex.
local function by_hex(hash)
	return function(data) return result(nil, hash(text_of(data))) end
end

local hashes = {
	sha1 = digests.sha1,
	sha256 = function(text) return native.hex_decode(native.sha256(text)) end,
}

local function hash_called(name)
	return hashes[name or "sha1"] or error("Unsupported algorithm: " .. tostring(name), 3)
end

-- keyed gives an HMAC (RFC 2104) with blocks of so many bytes.
local function keyed(hash, key, block)
	if #key > block then key = hash(key) end
	local function pad(with)
		local bytes = {}
		for i = 1, block do bytes[i] = string.char((key:byte(i) or 0) ~ with) end
		return table.concat(bytes)
	end
	local inner, outer = pad(0x36), pad(0x5c)
	return function(text) return hash(outer .. hash(inner .. text)) end
end

-- create_hmac takes blocks of 32 bytes, where the standard has 64: aos does.
local function create_hmac(data, key, algorithm)
	return result(keyed(hash_called(algorithm), text_of_bytes(key), 32)(text_of(data)))
end

-- pbkdf2 derives a key of so many bytes (RFC 8018).
local function pbkdf2(password, salt, iterations, length, algorithm)
	local hmac = keyed(hash_called(algorithm), text_of_bytes(password), 64)
	local key, block = "", 0
	while #key < length do
		block = block + 1
		local last = hmac(text_of_bytes(salt) .. (">I4"):pack(block))
		local sum = bytes_of(last)
		for _ = 2, iterations do
			last = hmac(last)
			for i = 1, #sum do sum[i] = sum[i] ~ last:byte(i) end
		end
		key = key .. text_of_bytes(sum)
	end
	local derived = result(key:sub(1, length))
	derived.asHex = function() return upper_hex(derived.asString()) end
	return derived
end

local function stream_of(text)
	local at = 0
	return function()
		at = at + 1
		return text:byte(at)
	end
end

return {
	digest = {
		sha2_256 = by_hex(native.sha256), sha2_512 = by_hex(native.sha512),
		sha3_256 = by_hex(native.sha3_256), sha3_512 = by_hex(native.sha3_512),
		keccak256 = by_hex(native.keccak256), keccak512 = by_hex(native.keccak512),
		md2 = digest(digests.md2), md4 = digest(digests.md4), md5 = digest(digests.md5), sha1 = digest(digests.sha1), blake2b = digest(digests.blake2b),
	},
	cipher = cipher, random = cipher.issac.random,
	mac = { createHmac = create_hmac },
	kdf = { pbkdf2 = pbkdf2 },
	utils = {
		stream = {
			fromString = stream_of, toString = text_of,
			fromArray = function(bytes) return stream_of(text_of_bytes(bytes)) end,
			toArray = function(stream) return bytes_of(text_of(stream)) end,
			fromHex = function(hex) return stream_of(native.hex_decode(hex)) end,
			toHex = function(stream) return upper_hex(text_of(stream)) end,
		},
		array = {
			size = function(bytes) return #bytes end,
			fromString = bytes_of, toString = text_of_bytes,
			fromStream = function(stream) return bytes_of(text_of(stream)) end,
			toStream = function(bytes) return stream_of(text_of_bytes(bytes)) end,
			fromHex = function(hex) return bytes_of(native.hex_decode(hex)) end,
			toHex = function(bytes) return upper_hex(text_of_bytes(bytes)) end,
			concat = function(a, b) return bytes_of(text_of_bytes(a) .. text_of_bytes(b)) end,
			truncate = function(bytes, length) return { table.unpack(bytes, 1, length) } end,
			XOR = function(a, b)
				local out = {}
				for i, byte in ipairs(a) do out[i] = byte ~ b[i] end
				return out
			end,
			copy = function(bytes) return { table.unpack(bytes) } end,
		},
		hex = { stringToHex = native.hex_encode, hexToString = native.hex_decode },
	},
}
