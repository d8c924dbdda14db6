-- What digests and ciphers give: a text, or what is known by its hex, in three ways.
local native = require("native")

return function(text, hex)
	local function as_string()
		text = text or native.hex_decode(hex)
		return text
	end
	return {
		asHex = function() return hex or native.hex_encode(text) end,
		asString = as_string,
		asBytes = function()
			local bytes = {}
			for i = 1, #as_string() do bytes[i] = text:byte(i) end
			return bytes
		end,
	}
end
