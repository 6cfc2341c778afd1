#!lua flags=allow-oom
-- Makes marks due that lie ahead of Redis' clock, because it ran back: they count from a moment that has been.
--
-- KEYS     1 marks (dirty:{b}); the same for each bucket…
-- ARGV     1 since_ms (integer, at most now: the moment that they count from)
--          2 most (integer: marks for each bucket)
-- REPLY    (integer: how many marks were moved)
-- EFFECTS  the marks' moments
-- COST     TIME; a bucket: ZRANGEBYSCORE, a ZADD for each mark ahead; O(log n + most)

--@include now_us

local since_ms, most = ARGV[1], ARGV[2]

local ahead_of = string.format('(%.0f', math.floor(now_us() / 1e3))
local moved = 0
for _, marks in ipairs(KEYS) do
  for _, user_id in ipairs(redis.call('ZRANGEBYSCORE', marks, ahead_of, '+inf', 'LIMIT', 0, most)) do
    redis.call('ZADD', marks, 'XX', since_ms, user_id)
    moved = moved + 1
  end
end
return moved
