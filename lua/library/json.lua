-- JSON, as processes require it.
local native = require("native")

return { encode = native.json_encode, decode = native.json_decode }
