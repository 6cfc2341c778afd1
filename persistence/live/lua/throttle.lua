-- Counts an attempt against two limits of a sliding window, where both have room; safe to repeat with the same id.
-- A caller who finds that the attempt was none to count removes its id from both sets.
--
-- KEYS     1 by_address (attempts of an address), 2 by_pair (those of that address with one e-mail address)
-- ARGV     1 window_ms (integer)
--          2 id (text: of this attempt)
--          3 address_limit (integer; 0: not counted)
--          4 pair_limit (integer; 0: not counted)
-- REPLY    counted
--          refused, retry_after_ms (nothing was counted)
-- EFFECTS  the id in each set with a limit, by Redis' time in ms; a set ends a window after its newest
-- COST     TIME, up to 5 commands a set, O(log limit) but for what has left the window

--@include now_us

local by_address, by_pair = KEYS[1], KEYS[2]
local window_ms, id, address_limit, pair_limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local now_ms = math.floor(now_us() / 1e3)

-- The ms until a set has room for one more; 0 when it has.
local function wait(key, limit)
  if limit == 0 then return 0 end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now_ms - window_ms))
  -- Of a clock that ran back.
  redis.call('ZREMRANGEBYSCORE', key, string.format('(%.0f', now_ms + window_ms), '+inf')
  if redis.call('ZSCORE', key, id) or redis.call('ZCARD', key) < limit then return 0 end
  local leaving = redis.call('ZRANGE', key, -limit, -limit, 'WITHSCORES')
  return math.min(math.max(tonumber(leaving[2]) + window_ms - now_ms, 1), tonumber(window_ms))
end

local function count(key, limit)
  if limit == 0 then return end
  redis.call('ZADD', key, string.format('%.0f', now_ms), id)
  redis.call('PEXPIRE', key, window_ms)
end

local longest = math.max(wait(by_address, tonumber(address_limit)), wait(by_pair, tonumber(pair_limit)))
if longest > 0 then return { 'refused', longest } end
count(by_address, tonumber(address_limit))
count(by_pair, tonumber(pair_limit))
return { 'counted' }
