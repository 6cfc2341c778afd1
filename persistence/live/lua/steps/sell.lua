-- What `sell` does for one player; `sells` does it for several.
-- Takes session, marks, stamp, user_id, channel, own, origin, count, interval_us, burst, client, seq and offline_cap_s as the head of the script names
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
local mPs, dPs = struct.unpack('<dd', rates, EARNS)
local boost = struct.unpack('<d', life)
-- The version after takes room for what processes can have computed from this one; see lib/take.lua.
local reserved, joined_until = 0, 0
local s, settle
if mPs > 0 or dPs > 0 then
  local accrued_at = struct.unpack('<d', life, ACCRUED)
  joined_until = struct.unpack('<d', life, JOINED)
  reserved = max(0, floor((joined_until - accrued_at) / 1000))
  if now_ms - accrued_at >= 1000 or now_ms - accrued_at < -10000 then
    --@include paid
    s, settle = paid(session, marks, user_id, now, life, rates, now_ms, tonumber(offline_cap_s))
    dishes, money, xp, cooked, earned = s.dishes, s.money, s.xp, s.cooked, s.earned
  end
end
local window
if client ~= '' then
  --@include place
  local placed
  placed, window = place(known, tonumber(seq), next_version(version + reserved, now_ms))
  if placed == 'applied' then
    if s then
      --@include publish_income
      version = settle({})
      if s.paid == 1 then publish_income(s, channel, own, origin) end
    end
    return { 'duplicate', version, wire(dishes), wire(money), wire(xp), 0 }
  end
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

version = next_version(version + reserved, now_ms)
money = saturated(money + gain)
earned = saturated(earned + gain)
xp = saturated(xp + applied * click_xp)
if window and not known then
  --@include make_room
  make_room(session, version)
end
if s then
  s.dishes, s.money, s.xp, s.clicks, s.earned, s.tat = dishes, money, xp, clicks + applied, earned, tat
  settle(window and { 'c:' .. client, window } or {})
else
  if dirty == 0 then
    --@include mark
    dirty = mark(session, marks, user_id, now_ms)
  end
  if joined_until > 0 and version > now_ms then
    -- As lib/advance.lua does.
    redis.call('HSET', session, 'life', string.sub(life, 1, JOINED - 1) .. struct.pack('<d', -joined_until))
  end
  local packed = struct.pack(NOW, version, dirty, dishes, money, xp, clicks + applied, cooked, earned, tat)
  if window then
    redis.call('HSET', session, 'now', packed, 'c:' .. client, window)
  else
    redis.call('HSET', session, 'now', packed)
  end
end
if (heard or redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2]) > tonumber(own) then
  --@include tell
  tell(channel, origin, 'sell', version, dishes, money, xp, applied)
end
return { 'ok', version, wire(dishes), wire(money), wire(xp), applied }
