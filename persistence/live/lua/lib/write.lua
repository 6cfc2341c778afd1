--@include store

-- Writes a changed session and marks it, once, as lib/mark.lua does; `more` are further fields (name, value, …).
local function write(s, now_ms, more)
  if s.dirty <= 0 then
    redis.call('PERSIST', s.key)
    if s.marks == s.key then
      s.dirty = -1 - s.saved
    else
      redis.call('ZADD', s.marks, 'NX', now_ms, s.user_id)
      s.dirty = 1 + s.saved
    end
  end
  store(s, more)
end
