-- What every change of a session shares: the next version, the dirty mark.

-- One more than before, or Redis' time where that is ahead: stays ahead even after Redis lost its last seconds.
local function next_version(version, now_ms)
  return math.max(version + 1, now_ms)
end

-- Marks a session as unsaved from this moment on: a dirty session never expires.
local function mark(key, marks, user_id, now_ms)
  redis.call('ZADD', marks, 'NX', now_ms, user_id)
  redis.call('PERSIST', key)
end
