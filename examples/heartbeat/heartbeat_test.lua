local function begin()
	return spawn({
		Owner = "keeper",
		TagArray = { { name = "Cron-Interval", value = "1-minute" }, { name = "Cron-Tag-Action", value = "Beat" } },
	})
end

test("it beats once a minute", function()
	local heart = begin()
	advance(600)
	equal(heart:eval("Beats"), "10")
end)

test("who is silent for five minutes is told once", function()
	local heart = begin()
	heart:send({ From = "a", Action = "Here" })
	heart:send({ From = "b", Action = "Here" })
	advance(240)
	heart:send({ From = "b", Action = "Here" })
	equal(mail("keeper"), {})
	advance(180)
	equal(#mail("keeper"), 1)
	equal(mail("keeper")[1].Address, address("a"))
	advance(600)
	equal(#mail("keeper"), 2, "and then b")
end)

test("who comes back is watched again", function()
	local heart = begin()
	heart:send({ From = "a", Action = "Here" })
	advance(420)
	heart:send({ From = "a", Action = "Here" })
	advance(420)
	equal(#mail("keeper"), 2)
end)
