--@include promise
--@include store

-- Promises again, where little is left of the promise of a player whose session did not change.
local function renew(s, now_ms, asked)
  if s.mPs == 0 and s.dPs == 0 then return end
  local left_ms = (asked and s.joined_until or math.abs(s.joined_until)) - now_ms
  if left_ms >= PROMISE_MS / 2 then return end
  promise(s, now_ms, asked)
  store(s, {})
end
