-- The next player of such a call: what steps/cook.lua and steps/sell.lua take, and `at`, the place of the player's `words` in `replies`.
served = served + 1
local at, behind = words * (served - 1) + 1, shared + width * (served - 1)
local session, marks, channel, heard = keys[2 * served - 1], keys[2 * served], subscribers[2 * served - 1], subscribers[2 * served]
local own, count, client, seq, user_id = '1', '1', ''
if width > 1 then
  own, count, client, seq = arguments[behind + 2], arguments[behind + 3], arguments[behind + 4], arguments[behind + 5]
end
