#!lua flags=allow-oom
-- Lets a session leave Redis some time after its last connection, once PostgreSQL has its newest version. What ticks alone
-- have changed is marked here: without a connection no later tick would mark it.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 user_id (integer)
--          2 ttl_s (integer)
-- REPLY    clean (it expires)
--          dirty (marked, now or before: the flush lets it expire)
--          gone (there is no session)
-- EFFECTS  EXPIRE; or the dirty mark, the session's dirty, PERSIST
-- COST     HMGET, EXPIRE; or ZADD, HSET, PERSIST

--@include formats
--@include now_us

local session, marks = KEYS[1], KEYS[2]
local user_id, ttl_s = ARGV[1], ARGV[2]

local held = redis.call('HMGET', session, 'now', 'life')
local now, life = held[1], held[2]
if not now then return { 'gone' } end
local version, dirty = struct.unpack('<dd', now)
if dirty == 0 and version == struct.unpack('<d', life, SAVED) then
  redis.call('EXPIRE', session, ttl_s)
  return { 'clean' }
end
if dirty == 0 then
  redis.call('ZADD', marks, 'NX', string.format('%.0f', math.floor(now_us() / 1e3)), user_id)
  -- With `life`: the append-only file and the replicas may lack what ticks changed in both.
  redis.call('HSET', session, 'now', struct.pack('<dd', version, 1) .. string.sub(now, REST), 'life', life)
end
redis.call('PERSIST', session)
return { 'dirty' }
