-- Cooks: as many of `count` clicks as the rate limit lets pass, computed at once.
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
-- REPLY    ok, version, dishes, xp, applied
--          duplicate, version, dishes, xp, applied (0)
--          missing
--          stale, stamp
--          seq_too_old, highest
--          no_dish
--          rate_limited, retry_after_ms
-- SENDS    cook, version, dishes, xp, applied
-- EFFECTS  session: now (version, dirty, dishes, xp, clicks, cooked, tat), c:<client>; the dirty mark; publishes `cook`
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB; the first since the last save: ZADD, PERSIST, HGET, HSET; a client's first time:
--          HGETALL

--@include formats
--@include clock
--@include amounts
--@include wire
--@include version

local interval_us, client = tonumber(ARGV[7]), ARGV[9]
local f
if client == '' then
  f = redis.call('HMGET', KEYS[1], 'now', 'rates')
else
  f = redis.call('HMGET', KEYS[1], 'now', 'rates', 'c:' .. client)
end
if not f[1] then return { 'missing' } end
local stamp = string.sub(f[2] or '', STAMP)
if stamp ~= ARGV[1] then return { 'stale', stamp } end

local version, dirty, dishes, money, xp, clicks, cooked, earned, tat = struct.unpack(NOW, f[1])
local gain, click_xp = struct.unpack('<dd', f[2])
local now_us = now()
local now_ms = floor(now_us / 1e3)
local window
if client ~= '' then
  --@include window
  local placed
  placed, window = place(f[3], tonumber(ARGV[10]), floor(now_us / 1e6))
  if placed == 'applied' then return { 'duplicate', version, wire(dishes), wire(xp), 0 } end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if gain == 0 then return { 'no_dish' } end
local applied = tonumber(ARGV[6])
if interval_us > 0 then
  --@include bucket
  applied, tat = draw(applied, tat, now_us, interval_us, tonumber(ARGV[8]))
  if applied == 0 then return { 'rate_limited', tat } end
end

version = next_version(version, now_ms)
dishes = saturated(dishes + applied * gain)
xp = saturated(xp + applied * click_xp)
cooked = saturated(cooked + applied * gain)
if dirty == 0 then
  --@include mark
  --@include log_life
  mark(KEYS[1], KEYS[2], ARGV[2], now_ms)
  log_life(KEYS[1])
end
local packed = struct.pack(NOW, version, 1, dishes, money, xp, clicks + applied, cooked, earned, tat)
if window then
  if not f[3] then
    --@include room
    make_room(floor(now_us / 1e6))
  end
  redis.call('HSET', KEYS[1], 'now', packed, 'c:' .. client, window)
else
  redis.call('HSET', KEYS[1], 'now', packed)
end
if redis.call('PUBSUB', 'SHARDNUMSUB', ARGV[3])[2] > tonumber(ARGV[4]) then
  --@include tell
  tell(ARGV[3], ARGV[5], 'cook', version, dishes, xp, applied)
end
return { 'ok', version, wire(dishes), wire(xp), applied }
