-- Has `serve` serve all players of such a call. It returns early with the reply to a click that was not applied, or raises: that reply,
-- or error, takes the place of the player's words, and the next ones are served on.
while served < players do
  local well, reply = pcall(serve)
  if reply then
    local at = words * (served - 1) + 1
    replies[at] = well and reply or raised(reply)
    for rest = at + 1, at + words - 1 do
      replies[rest] = 0
    end
  end
end
