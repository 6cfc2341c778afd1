#!lua flags=no-writes
-- Reads the oldest dirty marks of some buckets.
--
-- KEYS     1 dirty:{b}; the same for each bucket…
-- ARGV     1 until (integer, ms, or +inf: marks set later are left out)
--          2 most (integer: marks for each bucket)
-- REPLY    {now_ms, buckets…}
--          bucket: {dirty (how many marks), oldest_ms (since when; 0: none), marks…}
--          mark: {user_id, since_ms} (not in a list of its own)
-- EFFECTS  none
-- COST     a bucket: ZCARD, with marks ZRANGEBYSCORE (and ZRANGE where none is found); O(log n + most)

local until_ms, most = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local reply = { time[1] * 1000 + math.floor(time[2] / 1000) }
for i, dirty in ipairs(KEYS) do
  local marks = { redis.call('ZCARD', dirty), 0 }
  if marks[1] > 0 then
    local found = redis.call('ZRANGEBYSCORE', dirty, '-inf', until_ms, 'WITHSCORES', 'LIMIT', 0, most)
    for j = 1, #found do
      marks[j + 2] = tonumber(found[j])
    end
    -- The first that was found is the oldest, unless all are younger than asked for.
    marks[2] = marks[4] or tonumber(redis.call('ZRANGE', dirty, 0, 0, 'WITHSCORES')[2])
  end
  reply[i + 1] = marks
end
return reply
