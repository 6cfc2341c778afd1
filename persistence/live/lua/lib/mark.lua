-- Marks a session as unsaved from this moment on: a dirty session never expires.
local function mark(key, marks, user_id, now_ms)
  redis.call('ZADD', marks, 'NX', now_ms, user_id)
  redis.call('PERSIST', key)
end
