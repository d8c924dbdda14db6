-- A parent spawns a child that greets, and remembers it by its id.
Children = Children or {}

Handlers.add("parent.spawned", { Action = "Spawned" }, function(msg)
  table.insert(Children, msg.Tags.Process)
end)

function Bear(name)
  ao.spawn(ao.env.Module.Id, {
    Data = [[Handlers.add("child.who", { Action = "Who" }, function(msg)
      ao.send({ Target = msg.From, Action = "Me", Data = ao.env.Process.Tags["Given-Name"] })
    end)]],
    Tags = { ["On-Boot"] = "Data", ["Given-Name"] = name, Authority = ao.authorities[1] }
  })
end

return "parent"
