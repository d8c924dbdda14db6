-- Two players hit a ball to and fro until no strokes are left.
Strokes = Strokes or 0

Handlers.add("player.ball", { Action = "Ball" }, function(msg)
  Strokes = Strokes + 1
  local left = math.tointeger(tonumber(msg.Tags.Left))
  if left > 0 then
    ao.send({ Target = msg.From, Action = "Ball", Left = tostring(left - 1) })
  end
end)

return "player"
