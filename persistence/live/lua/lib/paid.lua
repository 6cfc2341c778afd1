--@include take
--@include accrue
--@include advance
--@include with_offline
--@include write

-- A session with its income paid up to now, for a click; and what writes it, with the fields of `more` (name, value, …), and returns
-- its version.
local function paid(key, marks, user_id, now, life, rates, now_ms, cap_s)
  local s = { key = key, marks = marks, user_id = user_id }
  take(s, now, life, rates)
  accrue(s, now_ms, cap_s)
  return s, function(more)
    advance(s, now_ms)
    promise(s, now_ms)
    write(s, now_ms, with_offline(s, more))
    return s.version
  end
end
