-- Writes and tells the income alone, where the request itself changes nothing.
local function write_income(s, now_ms, channel, own, origin)
  if not s.moved then return end
  advance(s, now_ms)
  promise(s, now_ms)
  write(s, now_ms, with_offline(s, {}))
  if s.paid == 1 then publish_income(s, channel, own, origin) end
end
