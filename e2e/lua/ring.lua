-- A process of a ring passes a token on to Next until it has made its hops.
Handlers.add("ring.hop", { Action = "Hop" }, function(msg)
  local hops = tonumber(msg.Tags.Hops) + 1
  if hops <= tonumber(msg.Tags.Last) then
    ao.send({ Target = Next, Action = "Hop", Token = msg.Tags.Token, Hops = tostring(hops), Last = msg.Tags.Last })
  end
end)

-- What a sharer is told to share is assigned to all of Readers.
Handlers.add("ring.share", { Action = "Share" }, function(msg)
  ao.assign({ Processes = Readers, Message = msg.Id })
end)

return "ring"
