-- The name by which aos processes know how values are shown.
local pretty = require(".pretty")

local stringify = { format = pretty.format }

-- isSimpleArray tells whether a table is a list of numbers and texts.
function stringify.isSimpleArray(t)
	local count = 0
	for _, v in pairs(t) do
		if type(v) ~= "number" and type(v) ~= "string" then return false end
		count = count + 1
	end
	return count == #t
end

return stringify
