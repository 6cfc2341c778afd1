-- Marks a session as unsaved from this moment on: a dirty session never expires. Returns its `dirty` of now. Where `marks` is the
-- session's own key, the marks may be on another node, since the slot is on its way: the caller marks the player, before and after,
-- and `dirty` stays 0, so that what is done next marks again; release.lua does before it lets the session expire.
local function mark(key, marks, user_id, now_ms)
  redis.call('PERSIST', key)
  if marks == key then return 0 end
  redis.call('ZADD', marks, 'NX', now_ms, user_id)
  return 1
end
