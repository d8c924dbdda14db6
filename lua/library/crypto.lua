-- Digests. Each gives an object with asHex, asBytes, asString.
local native = require("native")

-- Data is a text, or a stream of one.
local function digest(hash)
	return function(data)
		local hex = hash(type(data) == "table" and data.asString() or data)
		return {
			asHex = function() return hex end,
			asString = function() return native.hex_decode(hex) end,
			asBytes = function() return { native.hex_decode(hex):byte(1, -1) } end,
		}
	end
end

return {
	digest = {
		sha2_256 = digest(native.sha256), sha2_512 = digest(native.sha512),
		keccak256 = digest(native.keccak256), sha3_256 = digest(native.sha3_256),
	},
	utils = {
		stream = {
			fromString = function(text)
				return { asString = function() return text end }
			end,
		},
		hex = {
			stringToHex = native.hex_encode, hexToString = native.hex_decode,
		},
	},
}
