-- A heartbeat: a process that a cron wakes. It watches others, which say that they are
-- there, and tells its owner of each that has been silent for too long.
--
-- Spawn it with the tags Cron-Interval = 1-minute and Cron-Tag-Action = Beat, and let
-- wallaby monitor drive it.
Heard = Heard or {} -- when, by address
Silent = Silent or {}
Beats = Beats or 0
LimitMS = 5 * 60000

Handlers.add("here", "Here", function(m)
	Heard[m.From], Silent[m.From] = m.Timestamp, nil
end)

Handlers.add("beat", "Beat", function(m)
	assert(m.From == Owner, "only the cron beats") -- it comes from the owner
	Beats = Beats + 1
	for _, address in ipairs(Utils.keys(Heard)) do
		if not Silent[address] and m.Timestamp - Heard[address] > LimitMS then
			Silent[address] = true
			Send({ Target = Owner, Action = "Silent", Address = address })
		end
	end
end)
