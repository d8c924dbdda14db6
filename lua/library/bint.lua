-- Integers of any size, as processes keep amounts: require(".bint")(256). They have a
-- sign and digits of base 10^7, the lowest first. The size that is asked for bounds
-- nothing: where a fixed size would wrap around, these grow.
local BASE, WIDTH = 10000000, 7

local bint = {}
bint.__index = bint

local function trim(n)
	while #n > 1 and n[#n] == 0 do n[#n] = nil end
	if #n == 1 and n[1] == 0 then n.sign = 1 end
	return n
end

local function new(sign) return setmetatable({ sign = sign }, bint) end

local function from_digits(text, sign)
	local n = new(sign)
	for at = #text, 1, -WIDTH do
		n[#n + 1] = math.tointeger(tonumber(text:sub(math.max(1, at - WIDTH + 1), at), 10))
	end
	return trim(n)
end

function bint.isbint(x) return getmetatable(x) == bint end

-- parse gives an integer for what is one: a number without a fraction, or a text in
-- decimal, or in another base; nil for all else.
local function parse(x, base)
	if bint.isbint(x) then return x end
	if type(x) == "number" then
		if math.type(x) == "float" then
			if x ~= math.floor(x) or x - x ~= 0 then return nil end
			x = ("%.0f"):format(x)
		else
			x = ("%d"):format(x)
		end
	end
	if type(x) ~= "string" then return nil end
	local sign, digits = x:match("^%s*([+-]?)(%w+)%s*$")
	if not digits then return nil end
	sign = sign == "-" and -1 or 1
	if (base or 10) == 10 then
		if digits:find("^0[xX]%x+$") then return parse((sign < 0 and "-" or "") .. digits:sub(3), 16) end
		return not digits:find("%D") and from_digits(digits, sign) or nil
	end
	local n, by = from_digits("0", 1), from_digits(tostring(base), 1)
	for digit in digits:gmatch(".") do
		local value = tonumber(digit, base)
		if not value then return nil end
		n = n * by + value
	end
	return sign < 0 and -n or n
end

local function want(x)
	return parse(x) or error("cannot make an integer of " .. tostring(x), 3)
end

-- compare of two without their signs.
local function compare(a, b)
	if #a ~= #b then return #a < #b and -1 or 1 end
	for i = #a, 1, -1 do
		if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
	end
	return 0
end

local function plus(a, b, sign)
	local sum, carry = new(sign), 0
	for i = 1, math.max(#a, #b) do
		local digit = (a[i] or 0) + (b[i] or 0) + carry
		carry = digit >= BASE and 1 or 0
		sum[i] = digit - carry * BASE
	end
	if carry > 0 then sum[#sum + 1] = carry end
	return trim(sum)
end

-- minus needs a >= b.
local function minus(a, b, sign)
	local rest, borrow = new(sign), 0
	for i = 1, #a do
		local digit = a[i] - (b[i] or 0) - borrow
		borrow = digit < 0 and 1 or 0
		rest[i] = digit + borrow * BASE
	end
	return trim(rest)
end

function bint.__add(a, b)
	a, b = want(a), want(b)
	if a.sign == b.sign then return plus(a, b, a.sign) end
	if compare(a, b) >= 0 then return minus(a, b, a.sign) end
	return minus(b, a, b.sign)
end

function bint.__unm(a)
	a = want(a)
	local n = new(-a.sign)
	for i = 1, #a do n[i] = a[i] end
	return trim(n)
end

function bint.__sub(a, b) return bint.__add(a, -want(b)) end

function bint.__mul(a, b)
	a, b = want(a), want(b)
	local product = new(a.sign * b.sign)
	for i = 1, #a + #b do product[i] = 0 end
	for i = 1, #a do
		local carry = 0
		for j = 1, #b do
			local digit = product[i + j - 1] + a[i] * b[j] + carry
			carry = digit // BASE
			product[i + j - 1] = digit % BASE
		end
		product[i + #b] = product[i + #b] + carry
	end
	return trim(product)
end

-- divide gives quotient and rest without signs, digit by digit; each digit is found
-- by halving.
local function divide(a, b)
	if #b == 1 and b[1] == 0 then error("attempt to perform division by zero", 3) end
	local quotient, rest = new(1), from_digits("0", 1)
	for i = #a, 1, -1 do
		table.insert(rest, 1, a[i])
		trim(rest)
		local low, high = 0, BASE - 1
		while low < high do
			local middle = (low + high + 1) // 2
			local part = b * middle
			part.sign = 1
			if compare(part, rest) <= 0 then low = middle else high = middle - 1 end
		end
		local part = b * low
		part.sign = 1
		rest = minus(rest, part, 1)
		quotient[i] = low
	end
	return trim(quotient), rest
end

-- bint.idivmod rounds towards minus infinity, as Lua does.
function bint.idivmod(a, b)
	a, b = want(a), want(b)
	local quotient, rest = divide(a, b)
	quotient.sign, rest.sign = a.sign * b.sign, a.sign
	trim(quotient)
	trim(rest)
	if a.sign ~= b.sign and not rest:iszero() then
		quotient, rest = quotient - 1, rest + b
	end
	return quotient, rest
end

function bint.__idiv(a, b) return (bint.idivmod(a, b)) end
function bint.__mod(a, b) return (select(2, bint.idivmod(a, b))) end
bint.udiv, bint.umod = bint.__idiv, bint.__mod

function bint.tdiv(a, b)
	a, b = want(a), want(b)
	local quotient = divide(a, b)
	quotient.sign = a.sign * b.sign
	return trim(quotient)
end

function bint.__div(a, b) return bint.tonumber(a) / bint.tonumber(b) end

function bint.ipow(a, n)
	local result, by = bint.one(), want(a)
	n = want(n)
	while not n:iszero() do
		if n:isodd() then result = result * by end
		by, n = by * by, n // 2
	end
	return result
end

function bint.__pow(a, b) return bint.tonumber(a) ^ bint.tonumber(b) end

function bint.eq(a, b)
	a, b = want(a), want(b)
	return a.sign == b.sign and compare(a, b) == 0
end

function bint.__lt(a, b)
	a, b = want(a), want(b)
	if a.sign ~= b.sign then return a.sign < b.sign end
	local order = compare(a, b)
	return a.sign > 0 and order < 0 or a.sign < 0 and order > 0
end

bint.__eq = bint.eq
function bint.__le(a, b) return not bint.__lt(b, a) end
bint.ult, bint.ule = bint.__lt, bint.__le

function bint.__tostring(a)
	local parts = { tostring(a[#a]) }
	for i = #a - 1, 1, -1 do parts[#parts + 1] = ("%07d"):format(a[i]) end
	return (a.sign < 0 and "-" or "") .. table.concat(parts)
end

function bint.tobase(a, base)
	a, base = want(a), base or 10
	if base == 10 then return tostring(a) end
	local digits, out = "0123456789abcdefghijklmnopqrstuvwxyz", ""
	local n = a:abs()
	repeat
		local rest
		n, rest = bint.idivmod(n, base)
		local digit = rest:tointeger()
		out = digits:sub(digit + 1, digit + 1) .. out
	until n:iszero()
	return (a.sign < 0 and "-" or "") .. out
end

function bint.tonumber(a)
	local n = parse(a)
	if not n then return tonumber(a) end
	return bint.tointeger(n) or tonumber(tostring(n) .. ".0")
end

-- tointeger gives nil for what is larger than Lua's integers.
function bint.tointeger(a)
	local n = parse(a)
	local whole = n and math.tointeger(tonumber(tostring(n)))
	return whole and tostring(n) == ("%d"):format(whole) and whole or nil
end

function bint.zero() return from_digits("0", 1) end
function bint.one() return from_digits("1", 1) end
function bint.frominteger(x) return math.type(x) == "integer" and parse(x) or nil end
bint.fromuinteger = bint.frominteger
function bint.fromstring(text) return type(text) == "string" and parse(text) or nil end
function bint.frombase(text, base) return type(text) == "string" and parse(text, base or 10) or nil end
function bint.parse(x) return parse(x) end
function bint.new(x) return want(x) end
bint.tobint, bint.convert = bint.parse, bint.new

function bint.iszero(a) a = want(a) return #a == 1 and a[1] == 0 end
function bint.isone(a) return bint.eq(a, 1) end
function bint.isneg(a) return want(a).sign < 0 end
function bint.ispos(a) a = want(a) return a.sign > 0 and not a:iszero() end
function bint.iseven(a) return want(a)[1] % 2 == 0 end
function bint.isodd(a) return want(a)[1] % 2 == 1 end
function bint.isintegral(x) return parse(x) ~= nil end
function bint.isnumeric(x) return parse(x) ~= nil or tonumber(x) ~= nil end
function bint.abs(a) a = want(a) return a.sign < 0 and -a or a end
function bint.inc(a) return want(a) + 1 end
function bint.dec(a) return want(a) - 1 end
function bint.max(a, b) a, b = want(a), want(b) return a < b and b or a end
function bint.min(a, b) a, b = want(a), want(b) return a < b and a or b end

setmetatable(bint, { __call = function(_, x) return want(x) end })

return function() return bint end
