-- Gives the globals as text, one value a line, in an order that does not depend on how a
-- table came to be. Functions and what lies deep are left out.
local lines, seen, left = {}, {}, 20000
local function walk(path, value, depth)
  if type(value) == "table" then
    if seen[value] or depth > 8 then return end
    seen[value] = true
    local keys = {}
    for key in next, value do
      if type(key) == "string" or type(key) == "number" or type(key) == "boolean" then
        keys[#keys + 1] = key
      end
    end
    table.sort(keys, function(a, b) return type(a) .. tostring(a) < type(b) .. tostring(b) end)
    for _, key in ipairs(keys) do
      local below = tostring(key)
      if path ~= "" then below = path .. "." .. below end
      walk(below, rawget(value, key), depth + 1)
    end
  elseif left > 0 and (type(value) == "string" or type(value) == "number" or type(value) == "boolean") then
    left = left - 1
    local text = tostring(value)
    if type(value) == "string" then text = string.format("%q", value:sub(1, 4000)):gsub("\\?\n", "\\n") end
    lines[#lines + 1] = path .. " = " .. text
  end
end
walk("", _G, 0)
return table.concat(lines, "\n")
