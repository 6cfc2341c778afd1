#!lua flags=no-writes
-- Reads the oldest dirty marks of some buckets.
--
-- KEYS     1 marks (dirty:{b}); the same for each bucket…
-- ARGV     1 until_ms (integer, or +inf: marks set later are left out)
--          2 most (integer: marks for each bucket)
-- REPLY    {now_ms, buckets…} (only the buckets with any mark)
--          bucket: {dirty (how many marks), oldest_ms (since when), ahead (how many are of a time to come), marks…}
--          mark: {user_id, since_ms} (not in a list of its own)
-- EFFECTS  none
-- COST     EXISTS for eight buckets; for each of eight with any mark ZCARD; a bucket with marks: ZRANGEBYSCORE, ZCOUNT (and
--          ZRANGE where none is found); O(log n + most)

--@include now_us

local until_ms, most = ARGV[1], ARGV[2]

-- Most buckets have no marks: a thousand ZCARD a second are more commands than a thousand players who watch.
local EIGHT = 8

local now_ms = math.floor(now_us() / 1e3)
local reply = { now_ms }
local some
for i, marks in ipairs(KEYS) do
  if (i - 1) % EIGHT == 0 then
    some = redis.call('EXISTS', unpack(KEYS, i, math.min(i + EIGHT - 1, #KEYS))) > 0
  end
  local dirty = some and redis.call('ZCARD', marks) or 0
  if dirty > 0 then
    local bucket = { dirty, 0, redis.call('ZCOUNT', marks, string.format('(%.0f', now_ms), '+inf') }
    local found = redis.call('ZRANGEBYSCORE', marks, '-inf', until_ms, 'WITHSCORES', 'LIMIT', 0, most)
    for j = 1, #found do
      bucket[j + 3] = tonumber(found[j])
    end
    -- The first that was found is the oldest, unless all are younger than asked for.
    bucket[2] = bucket[5] or tonumber(redis.call('ZRANGE', marks, 0, 0, 'WITHSCORES')[2])
    reply[#reply + 1] = bucket
  end
end
return reply
