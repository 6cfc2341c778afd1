#!lua flags=allow-oom
-- Keeps the list of living flushers, by which they share the buckets.
--
-- KEYS     1 flushers (sorted set: owner by the moment it was last seen)
-- ARGV     1 owner (text)
--          2 ttl_ms (integer; 0: leave the list)
-- REPLY    (integer: the flushers seen within that time)
-- EFFECTS  the list
-- COST     ZADD, two ZREMRANGEBYSCORE, ZCARD

--@include now_us

local flushers = KEYS[1]
local owner, ttl_ms = ARGV[1], ARGV[2]

if ttl_ms == '0' then
  redis.call('ZREM', flushers, owner)
else
  local now_ms = math.floor(now_us() / 1e3)
  redis.call('ZADD', flushers, string.format('%.0f', now_ms), owner)
  redis.call('ZREMRANGEBYSCORE', flushers, '-inf', string.format('(%.0f', now_ms - ttl_ms))
  -- Of a clock that ran back.
  redis.call('ZREMRANGEBYSCORE', flushers, string.format('(%.0f', now_ms + ttl_ms), '+inf')
end
return redis.call('ZCARD', flushers)
