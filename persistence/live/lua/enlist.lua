#!lua flags=allow-oom
-- Keeps the list of living flushers, by which they share the buckets.
--
-- KEYS     1 flushers (sorted set: owner by the moment it was last seen)
-- ARGV     1 owner (text)
--          2 time to live (integer, ms; 0: leave the list)
-- REPLY    (integer: the flushers seen within that time)
-- EFFECTS  the list
-- COST     ZADD, ZREMRANGEBYSCORE, ZCARD

if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  local time = redis.call('TIME')
  local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms), ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now_ms - ARGV[2]))
end
return redis.call('ZCARD', KEYS[1])
