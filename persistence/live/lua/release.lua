#!lua flags=allow-oom
-- Lets a session leave Redis some time after its last connection, once PostgreSQL has its newest version. What ticks alone
-- have changed is marked here: without a connection no later tick would mark it.
--
-- KEYS     1 session, 2 dirty:{b}
-- ARGV     1 user_id (integer)
--          2 ttl (integer, s)
-- REPLY    clean (it expires)
--          dirty (marked, now or before: the flush lets it expire)
--          gone (there is no session)
-- EFFECTS  EXPIRE; or the dirty mark, the session's dirty, PERSIST
-- COST     HMGET, EXPIRE; or ZADD, HSET, PERSIST

--@include formats

local held = redis.call('HMGET', KEYS[1], 'now', 'life')
if not held[1] then return { 'gone' } end
local version, dirty = struct.unpack('<dd', held[1])
if dirty == 0 and version == struct.unpack('<d', held[2], SAVED) then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  return { 'clean' }
end
if dirty == 0 then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), ARGV[1])
  -- With `life`: the append-only file and the replicas may lack what ticks changed in both.
  redis.call('HSET', KEYS[1], 'now', struct.pack('<dd', version, 1) .. string.sub(held[1], REST), 'life', held[2])
end
redis.call('PERSIST', KEYS[1])
return { 'dirty' }
