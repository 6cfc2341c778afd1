-- Sells: as many of `count` clicks as there are dishes for and the rate limit lets pass, computed at once.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 count (integer, at least 1)
--          7 interval_us (number, of the rate limit; 0: none)
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
--@include math
--@include now_us
--@include saturated
--@include ceiling
--@include multiplier
--@include wire
--@include next_version

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, count, interval_us, burst, client, seq =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local f
if client == '' then
  f = redis.call('HMGET', session, 'now', 'rates', 'life')
else
  f = redis.call('HMGET', session, 'now', 'rates', 'life', 'c:' .. client)
end
local now, rates, life, known = f[1], f[2], f[3], f[4]
if not now then return { 'missing' } end
local held_stamp = string.sub(rates or '', STAMP)
if held_stamp ~= stamp then return { 'stale', held_stamp } end

local version, dirty, dishes, money, xp, clicks, cooked, earned, tat = struct.unpack(NOW, now)
local _, click_xp, mPc, mM, sPs = struct.unpack('<ddddd', rates)
local boost = struct.unpack('<d', life)
local time_us = now_us()
local now_ms = floor(time_us / 1e3)
local window
if client ~= '' then
  --@include place
  local placed
  placed, window = place(known, tonumber(seq), next_version(version, now_ms))
  if placed == 'applied' then return { 'duplicate', version, wire(dishes), wire(money), wire(xp), 0 } end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if dishes == 0 then return { 'no_dishes' } end

local portion = 1 + floor(sPs / 100)
local full = floor(dishes / portion)
local rest = max(0, dishes - full * portion)
local applied = min(tonumber(count), rest > 0 and full + 1 or full)
interval_us = tonumber(interval_us)
if interval_us > 0 then
  --@include draw
  applied, tat = draw(applied, tat, time_us, interval_us, tonumber(burst))
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
  dirty = mark(session, marks, user_id, now_ms)
  log_life(session)
end
local packed = struct.pack(NOW, version, dirty, dishes, money, xp, clicks + applied, cooked, earned, tat)
if window then
  --@include store_click
  store_click(session, packed, client, known, window, version)
else
  redis.call('HSET', session, 'now', packed)
end
if redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > tonumber(own) then
  --@include tell
  tell(channel, origin, 'sell', version, dishes, money, xp, applied)
end
return { 'ok', version, wire(dishes), wire(money), wire(xp), applied }
