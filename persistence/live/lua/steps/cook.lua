-- What `cook` does for one player; `cooks` does it for several.
-- Takes session, marks, stamp, user_id, channel, own, origin, count, interval_us, burst, client and seq as the head of the script names
-- them, time_us and now_ms, and `heard`, the number of the channel's subscribers: nil where nobody has asked for it yet.

--@include formats
--@include math
--@include saturated
--@include wire
--@include next_version

local f
if client == '' then
  f = redis.call('HMGET', session, 'now', 'rates')
else
  f = redis.call('HMGET', session, 'now', 'rates', 'c:' .. client)
end
local now, rates, known = f[1], f[2], f[3]
if not now then return { 'missing' } end
local held_stamp = string.sub(rates or '', STAMP)
if held_stamp ~= stamp then return { 'stale', held_stamp } end

local version, dirty, dishes, money, xp, clicks, cooked, earned, tat = struct.unpack(NOW, now)
local cook_gain, click_xp = struct.unpack('<dd', rates)
local window
if client ~= '' then
  --@include place
  local placed
  placed, window = place(known, tonumber(seq), next_version(version, now_ms))
  if placed == 'applied' then return { 'duplicate', version, wire(dishes), wire(xp), 0 } end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if cook_gain == 0 then return { 'no_dish' } end
local applied = tonumber(count)
if interval_us > 0 then
  --@include draw
  applied, tat = draw(applied, tat, time_us, interval_us, burst)
  if applied == 0 then return { 'rate_limited', tat } end
end

version = next_version(version, now_ms)
dishes = saturated(dishes + applied * cook_gain)
xp = saturated(xp + applied * click_xp)
cooked = saturated(cooked + applied * cook_gain)
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
  tell(channel, origin, 'cook', version, dishes, xp, applied)
end
return { 'ok', version, wire(dishes), wire(xp), applied }
