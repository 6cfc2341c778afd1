-- What `sell` does for one player; `sells` does it for several.
-- Takes session, marks, stamp, user_id, channel, own, origin, count, interval_us, burst, client and seq as the head of the script names
-- them, time_us and now_ms, and `heard`, the number of the channel's subscribers: nil where nobody has asked for it yet.

--@include formats
--@include math
--@include saturated
--@include ceiling
--@include multiplier
--@include wire
--@include next_version

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
if interval_us > 0 then
  --@include draw
  applied, tat = draw(applied, tat, time_us, interval_us, burst)
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
if (heard or redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2]) > tonumber(own) then
  --@include tell
  tell(channel, origin, 'sell', version, dishes, money, xp, applied)
end
return { 'ok', version, wire(dishes), wire(money), wire(xp), applied }
