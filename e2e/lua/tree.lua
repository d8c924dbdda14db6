-- A process of a tree has two children while its Depth is above 0. They run the
-- same program, which Program holds as text.
local depth = tonumber(ao.env.Process.Tags.Depth)
for i = 1, depth > 0 and 2 or 0 do
  ao.spawn(ao.env.Module.Id, {
    Data = string.format("Program = %q\n", Program) .. Program,
    Tags = { ["On-Boot"] = "Data", Depth = tostring(depth - 1), Authority = ao.authorities[1] }
  })
end
return "tree"
