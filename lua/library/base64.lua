-- Base64 with the usual alphabet; decoding also takes that of URLs.
local native = require("native")

return {
	encode = function(text) return native.base64_encode(text) end,
	decode = function(text) return native.base64_decode(text) end,
}
