-- Sells: as many of `count` clicks as there are dishes for and the rate limit lets pass, computed at once.
--
-- KEYS     1 session, 2 dirty:{b}
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 count (integer, at least 1)
--          7 rate interval (number, µs; 0: no limit)
--          8 burst (integer, at least 1)
--          9 client (text; empty: none)
--          10 seq (integer; any text without a client)
-- REPLY    ok, version, dishes, money, xp, applied
--          duplicate, version, dishes, money, xp, applied (0)
--          missing
--          stale, stamp
--          seq_too_old, highest
--          no_dishes
--          rate_limited, retry_after_ms
-- SENDS    sell, version, dishes, money, xp, applied
-- EFFECTS  session: now (version, dirty, dishes, money, xp, clicks, earned, tat), c:<client>; the dirty mark; publishes `sell`
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB; the first since the last save: ZADD, PERSIST, HGET, HSET; a client's first time:
--          HGETALL

--@include formats
--@include clock
--@include amounts
--@include product
--@include wire
--@include version

local interval_us, client = tonumber(ARGV[7]), ARGV[9]
local f
if client == '' then
  f = redis.call('HMGET', KEYS[1], 'now', 'rates', 'life')
else
  f = redis.call('HMGET', KEYS[1], 'now', 'rates', 'life', 'c:' .. client)
end
if not f[1] then return { 'missing' } end
local stamp = string.sub(f[2] or '', STAMP)
if stamp ~= ARGV[1] then return { 'stale', stamp } end

local version, dirty, dishes, money, xp, clicks, cooked, earned, tat = struct.unpack(NOW, f[1])
local _, click_xp, mPc, mM, sPs = struct.unpack('<ddddd', f[2])
local boost = struct.unpack('<d', f[3])
local now_us = now()
local now_ms = floor(now_us / 1e3)
local window
if client ~= '' then
  --@include window
  local placed
  placed, window = place(f[4], tonumber(ARGV[10]), floor(now_us / 1e6))
  if placed == 'applied' then return { 'duplicate', version, wire(dishes), wire(money), wire(xp), 0 } end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if dishes == 0 then return { 'no_dishes' } end

local portion = 1 + floor(sPs / 100)
local full = floor(dishes / portion)
local rest = max(0, dishes - full * portion)
local applied = min(tonumber(ARGV[6]), rest > 0 and full + 1 or full)
if interval_us > 0 then
  --@include bucket
  applied, tat = draw(applied, tat, now_us, interval_us, tonumber(ARGV[8]))
  if applied == 0 then return { 'rate_limited', tat } end
end

local multiplied = multiplier(mM)
local factor = boost > 0 and boost or 10
local full_sells = min(applied, full)
local gain = saturated(full_sells * ceiling(1e5, mPc, multiplied, factor, portion))
dishes = max(0, dishes - full_sells * portion)
if applied > full then
  gain = saturated(gain + ceiling(1e5, mPc, multiplied, factor, rest))
  dishes = 0
end

version = next_version(version, now_ms)
money = saturated(money + gain)
earned = saturated(earned + gain)
xp = saturated(xp + applied * click_xp)
if dirty == 0 then
  --@include mark
  --@include log_life
  mark(KEYS[1], KEYS[2], ARGV[2], now_ms)
  log_life(KEYS[1])
end
local packed = struct.pack(NOW, version, 1, dishes, money, xp, clicks + applied, cooked, earned, tat)
if window then
  if not f[4] then
    --@include room
    make_room(floor(now_us / 1e6))
  end
  redis.call('HSET', KEYS[1], 'now', packed, 'c:' .. client, window)
else
  redis.call('HSET', KEYS[1], 'now', packed)
end
if redis.call('PUBSUB', 'SHARDNUMSUB', ARGV[3])[2] > tonumber(ARGV[4]) then
  --@include tell
  tell(ARGV[3], ARGV[5], 'sell', version, dishes, money, xp, applied)
end
return { 'ok', version, wire(dishes), wire(money), wire(xp), applied }
