#!lua
-- Writes saved sessions into Redis where there is nothing of their players: what a restore does for nearly all of them. Where
-- something is, lua/load.lua decides.
--
-- KEYS     1 session; the same for each session…
-- ARGV     1 ttl_s (integer)
--          2 words (integer: how many follow)
--          3 fields (name, value, …, the first of them now); 2 and 3 for each session…
-- REPLY    loaded
--          exists (as new or newer)
--          behind (an older session, or a floor without one: nothing was done)
-- EFFECTS  session with EXPIRE; replies a word for each session
-- COST     EXISTS for all; a session: EXISTS unless all are missing, HSET of some 5 fields, EXPIRE

local ttl_s = ARGV[1]
local all_missing = redis.call('EXISTS', unpack(KEYS)) == 0

local function restore(session, first, last)
  if all_missing or redis.call('EXISTS', session) == 0 then
    redis.call('HSET', session, unpack(ARGV, first, last))
    redis.call('EXPIRE', session, ttl_s)
    return { 'loaded' }
  end
  local now = redis.call('HGET', session, 'now')
  if now and struct.unpack('<d', now) >= struct.unpack('<d', ARGV[first + 1]) then return { 'exists' } end
  return { 'behind' }
end

local statuses, at = {}, 2
for i, session in ipairs(KEYS) do
  local words = ARGV[at]
  local last = at + words
  statuses[i] = restore(session, at + 1, last)[1]
  at = last + 1
end
return statuses
