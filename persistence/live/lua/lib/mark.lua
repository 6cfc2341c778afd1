-- Marks a session as unsaved from this moment on: a dirty session never expires. `saved` is the version that PostgreSQL has. Returns
-- the session's `dirty` of now: 1 + saved. Where `marks` is the session's own key, the marks may be on another node, since the slot is
-- on its way: the caller marks the player, before and after, and `dirty` is -(1 + saved), so that what is done next marks again;
-- release.lua does before it lets the session expire.
local function mark(key, marks, user_id, now_ms, saved)
  redis.call('PERSIST', key)
  if marks == key then return -1 - saved end
  redis.call('ZADD', marks, 'NX', now_ms, user_id)
  return 1 + saved
end
