-- Counts an attempt against two limits of a sliding window, where both have room; safe to repeat with the same id.
-- Whoever finds that the attempt was none to count removes its id from both sets.
--
-- KEYS     1 attempts of an address, 2 attempts of that address with one e-mail address
-- ARGV     1 window (integer, ms)
--          2 id (of this attempt)
--          3 limit of KEYS[1] (integer, 0: not counted)
--          4 limit of KEYS[2] (integer, 0: not counted)
-- REPLY    counted
--          refused, retry_after_ms (nothing was counted)
-- EFFECTS  the id in each set with a limit, by Redis' time in ms; a set ends a window after its newest
-- COST     TIME, up to 4 commands a set, O(log limit) but for what has left the window

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = tonumber(ARGV[1])

-- The ms until a set has room for one more; 0 when it has.
local function wait(key, limit)
  if limit == 0 then return 0 end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - window))
  if redis.call('ZSCORE', key, ARGV[2]) or redis.call('ZCARD', key) < limit then return 0 end
  local leaving = redis.call('ZRANGE', key, -limit, -limit, 'WITHSCORES')
  return math.max(tonumber(leaving[2]) + window - now, 1)
end

local function count(key, limit)
  if limit == 0 then return end
  redis.call('ZADD', key, string.format('%.0f', now), ARGV[2])
  redis.call('PEXPIRE', key, window)
end

local longest = math.max(wait(KEYS[1], tonumber(ARGV[3])), wait(KEYS[2], tonumber(ARGV[4])))
if longest > 0 then return { 'refused', longest } end
count(KEYS[1], tonumber(ARGV[3]))
count(KEYS[2], tonumber(ARGV[4]))
return { 'counted' }
