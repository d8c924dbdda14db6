-- What runs a project's tests. A test is a coroutine: what it wants of the world outside
-- it yields, and the answer comes as the next message.
local native = require("native")
local json = require("json")

local tests, printed = {}, {}
local running

-- shown writes a value as Lua would have it, tables in the order of their keys.
local function shown(value)
	if type(value) == "string" then return (string.format("%q", value):gsub("\\\n", "\\n")) end
	if type(value) ~= "table" then return tostring(value) end
	local parts, names = {}, {}
	for i, item in ipairs(value) do parts[i] = shown(item) end
	local listed = #parts
	for key in pairs(value) do
		if not (math.type(key) == "integer" and key >= 1 and key <= listed) then names[#names + 1] = key end
	end
	table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
	for _, key in ipairs(names) do
		local name = type(key) == "string" and key:match("^[%a_][%w_]*$") or "[" .. shown(key) .. "]"
		parts[#parts + 1] = name .. " = " .. shown(value[key])
	end
	return "{" .. table.concat(parts, ", ") .. "}"
end

function print(...)
	local parts = {}
	for i = 1, select("#", ...) do
		local value = select(i, ...)
		parts[i] = type(value) == "string" and value or shown(value)
	end
	printed[#printed + 1] = table.concat(parts, " ")
end
native.on_print(function(text) printed[#printed + 1] = text end)

-- ask has the world do something.
local function ask(what, request)
	assert(running and coroutine.running() == running, "only a test can do that: write it within test(name, function() ... end)")
	request = request or {}
	request.Do = what
	local answer = coroutine.yield(request)
	if answer.Error then error(answer.Error, 3) end
	return answer.Value
end

-- with_tags lets the tags of what a process sends be read as fields.
local function with_tags(list)
	for _, one in ipairs(list or {}) do
		local tags = {}
		for _, tag in ipairs(one.Tags or {}) do
			tags[tag.name] = tag.value
			if one[tag.name] == nil then one[tag.name] = tag.value end
		end
		one.Tags = tags
	end
	return list
end

local function result_of(result)
	with_tags(result.Messages)
	with_tags(result.Spawns)
	if type(result.Output) == "table" then result.Data = result.Output.data end
	return result
end

-- message_of parts what is sent into its own fields and tags.
local function message_of(message)
	local out = { Tags = {} }
	for name, value in pairs(message or {}) do
		if name == "From" or name == "Data" then
			out[name] = tostring(value)
		elseif name == "Tags" then
			for tag, text in pairs(value) do out.Tags[tag] = tostring(text) end
		else
			out.Tags[name] = tostring(value)
		end
	end
	return out
end

local Process = {}
Process.__index = Process

-- send sends a message, waits until all that follows from it has happened, and gives the
-- message's result.
function Process:send(message)
	return result_of(ask("send", { Process = self.id, Message = message_of(message), Deliver = true }))
end

-- post sends a message, and leaves what follows from it to deliver().
function Process:post(message)
	return result_of(ask("send", { Process = self.id, Message = message_of(message), Deliver = false }))
end

-- dryrun asks without leaving a trace.
function Process:dryrun(message)
	return result_of(ask("dryrun", { Process = self.id, Message = message_of(message) }))
end

-- eval has the process's owner run code in it, and gives what it shows.
function Process:eval(code)
	local result = self:send({ Action = "Eval", Data = code })
	if result.Error then
		error("eval: " .. (type(result.Error) == "string" and result.Error or shown(result.Error)), 2)
	end
	return result.Data
end

-- results lists what the process made of its messages so far, the first of which is the
-- process itself.
function Process:results()
	local list = ask("results", { Process = self.id })
	for _, result in ipairs(list) do result_of(result) end
	return list
end

-- spawn starts a process: this project's, or that of the module file or the project that
-- Module names.
function spawn(options)
	options = options or {}
	local request = { Tags = {}, From = options.Owner, Data = options.Data, Module = options.Module }
	for name, value in pairs(options.Tags or {}) do request.Tags[name] = tostring(value) end
	for i, tag in ipairs(options.TagArray or {}) do
		request.TagArray = request.TagArray or {}
		request.TagArray[i] = { name = tag.name, value = tostring(tag.value) }
	end
	if options.Name then request.Tags.Name = options.Name end
	local made = ask("spawn", request)
	return setmetatable({ id = made.Id, owner = made.Owner, module = made.Module }, Process)
end

-- process gives one that was spawned by another.
function process(id) return setmetatable({ id = id }, Process) end

function address(name) return ask("address", { Name = name }) end
function deliver() return ask("deliver") end
function advance(seconds) return ask("advance", { Seconds = seconds }) end
function now() return ask("now") end

-- mail lists what was sent to somebody.
function mail(name) return with_tags(ask("mail", { Name = name })) end

-- undelivered lists what processes sent that nobody could get, each with the reason.
function undelivered() return ask("undelivered") end

-- source gives the text of one of the project's files, for modules that .load it.
function source(name) return check(native.source(name), "there is no file " .. name) end

local function same(a, b)
	if a == b then return true end
	if type(a) ~= "table" or type(b) ~= "table" then return false end
	for key, value in pairs(a) do
		if not same(value, b[key]) then return false end
	end
	for key in pairs(b) do
		if a[key] == nil then return false end
	end
	return true
end

-- equal fails unless the two are equal, tables by what is in them.
function equal(got, want, what)
	if not same(got, want) then
		error((what and what .. ": " or "") .. "got " .. shown(got) .. ", want " .. shown(want), 2)
	end
end

function check(value, what)
	if not value then error(what or "it is not so", 2) end
	return value
end

-- contains fails unless a text has another in it.
function contains(text, part, what)
	if type(text) ~= "string" or not text:find(part, 1, true) then
		error((what and what .. ": " or "") .. shown(text) .. " has no " .. shown(part) .. " in it", 2)
	end
end

-- fails fails unless the function fails, with an error that has the text in it.
function fails(run, text)
	local ok, problem = pcall(run)
	if ok then error("it does not fail", 2) end
	if text and not tostring(problem):find(text, 1, true) then
		error("it fails with " .. shown(tostring(problem)) .. ", want " .. shown(text), 2)
	end
	return problem
end

function test(name, run)
	assert(type(name) == "string" and type(run) == "function", "write test(name, function() ... end)")
	local at = debug.getinfo(2, "Sl")
	for _, other in ipairs(tests) do
		assert(other.File ~= at.short_src or other.Name ~= name, "there are two tests called " .. name)
	end
	tests[#tests + 1] = { Name = name, File = at.short_src, Line = at.currentline, run = run }
end

local function where(problem, thread)
	local trace = {}
	for line in debug.traceback(thread):gmatch("\n\t([^\n]+)") do
		if not line:find("^%[C%]") and not line:find("^boot.lua") then trace[#trace + 1] = line end
	end
	return { Error = tostring(problem), Trace = trace }
end

-- go_on lets a test run until it wants something, or is through.
local function go_on(...)
	local ok, request = coroutine.resume(running, ...)
	if not ok then return { Done = true, Failure = where(request, running), Printed = printed } end
	if coroutine.status(running) == "dead" then return { Done = true, Printed = printed } end
	return { Request = request }
end

local function load_tests(names)
	local problems = {}
	for _, name in ipairs(names) do
		local file = name:gsub("%.", "/") .. ".lua"
		local chunk, problem = load(native.source(name), "@" .. file, "t")
		if chunk then
			local ok, failure = pcall(chunk)
			problem = not ok and tostring(failure) or nil
		end
		problems[#problems + 1] = problem
	end
	local list = {}
	for i, one in ipairs(tests) do list[i] = { Name = one.Name, File = one.File, Line = one.Line } end
	return { Tests = list, Problems = problems }
end

local function answer(message)
	if message.Load then return load_tests(message.Load) end
	if message.Run then
		printed = {}
		running = coroutine.create(tests[message.Run].run)
		return go_on()
	end
	return go_on(message.Answer)
end

return function(message)
	return json.encode({ ok = true, response = answer(json.decode(message)) })
end
