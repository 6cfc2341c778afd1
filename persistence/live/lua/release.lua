#!lua flags=allow-oom
-- Lets a session leave Redis some time after its last connection, once PostgreSQL has its newest version. Where no connection is
-- left anywhere, income is paid up to now first, and the player counts as joined no longer.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 offline_cap_s (integer)
--          5 ttl_s (integer)
-- REPLY    clean (it expires)
--          dirty (marked, now or before: the flush lets it expire)
--          gone (there is no session)
-- EFFECTS  EXPIRE; or the dirty mark, the session's dirty, PERSIST; without a connection version, what accruing changes, joined_until
-- COST     HMGET, TIME, PUBSUB SHARDNUMSUB, EXPIRE; or ZADD, HSET, PERSIST

--@include math
--@include now_us
--@include fetch
--@include accrue
--@include advance
--@include with_offline
--@include write

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, offline_cap_s, ttl_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local s = fetch(session, marks, user_id, '')
if s.version == 0 then return { 'gone' } end
local now_ms = floor(now_us() / 1e3)
if redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] == 0 and s.joined_until ~= 0 then
  if s.stamp == stamp then
    accrue(s, now_ms, tonumber(offline_cap_s))
    if s.moved then advance(s, now_ms) end
    s.joined_until = 0
  else
    -- Another catalogue's: it is derived again before it is paid, and these seconds count then.
    s.joined_until, s.moved = min(math.abs(s.joined_until), now_ms), false
  end
  if s.moved then write(s, now_ms, with_offline(s, {})) else store(s, {}) end
end
if s.dirty == 0 then
  redis.call('EXPIRE', session, ttl_s)
  return { 'clean' }
end
if s.dirty < 0 then write(s, now_ms, {}) end
redis.call('PERSIST', session)
return { 'dirty' }
