-- What `sell` does for one player; `sells` does it for several.
-- Takes session, marks, stamp, user_id, channel, own, origin, count, interval_us, burst, client, seq and offline_cap_s as the head of the
-- script names them, time_us and now_ms, and `heard`, the number of the channel's subscribers: nil where nobody has asked for it yet.
-- A `user_id` of nil is what the session's key ends with.
-- Where the click is applied it leaves version, dishes, money, xp and applied; otherwise it returns the reply.
-- Operators and comparisons stand where functions could: a call costs more than what it computes.

--@include calls
--@include formats
--@include math
--@include saturated
--@include ceiling
--@include wire

local f, window_field
if client == '' then
  f = call('HMGET', session, 'now', 'rates', 'life')
else
  window_field = 'c:' .. client
  f = call('HMGET', session, 'now', 'rates', 'life', window_field)
end
local now, rates, life, known = f[1], f[2], f[3], f[4]
if not now then return { 'missing' } end
local held_stamp = sub(rates or '', STAMP)
if held_stamp ~= stamp then return { 'stale', held_stamp } end

local version, dirty, dishes, money, xp, clicks, cooked, earned, tat = struct_unpack(NOW, now)
local _, click_xp, mPc, mM, sPs, _, _, mPs, dPs = struct_unpack('<ddddddddd', rates)
local boost = struct_unpack('<d', life)
-- The version after takes room for what processes can have computed from this one; see lib/take.lua.
local reserved, joined_until = 0, 0
local s, settle
if mPs > 0 or dPs > 0 then
  local accrued_at = struct_unpack('<d', life, ACCRUED)
  joined_until = struct_unpack('<d', life, JOINED)
  local room_ms = joined_until - accrued_at
  if room_ms >= 1000 then reserved = (room_ms - room_ms % 1000) / 1000 end
  if now_ms - accrued_at >= 1000 or now_ms - accrued_at < -10000 then
    --@include paid
    s, settle = paid(session, marks, user_id or string.match(session, '%d+$'), now, life, rates, now_ms, tonumber(offline_cap_s))
    dishes, money, xp, cooked, earned = s.dishes, s.money, s.xp, s.cooked, s.earned
  end
end
local coming, window = version + reserved + 1
if coming < now_ms then coming = now_ms end
if window_field then
  --@include place
  local placed
  placed, window = place(known, tonumber(seq), coming)
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

local portion = 1 + (sPs - sPs % 100) / 100
local full = dishes / portion
full = full - full % 1
local rest = dishes - full * portion
if rest < 0 then rest = 0 end
local applied = count == '1' and 1 or min(tonumber(count), rest > 0 and full + 1 or full)
--@include steps/limit

local multiplied, factor = mM > 0 and mM or 100, boost > 0 and boost or 10
local full_sells = applied < full and applied or full
local gain = saturated(full_sells * ceiling(1e5, mPc, multiplied, factor, portion))
dishes = dishes - full_sells * portion
if applied > full then
  gain = saturated(gain + ceiling(1e5, mPc, multiplied, factor, rest))
  dishes = 0
elseif dishes < 0 then
  dishes = 0
end

version = coming
money, earned, xp = money + gain, earned + gain, xp + applied * click_xp
if money > LIMIT then money = LIMIT end
if earned > LIMIT then earned = LIMIT end
if xp > LIMIT then xp = LIMIT end
if window and not known then
  --@include make_room
  make_room(session, version)
end
if s then
  s.dishes, s.money, s.xp, s.clicks, s.earned, s.tat = dishes, money, xp, clicks + applied, earned, tat
  settle(window and { window_field, window } or {})
else
  if dirty <= 0 then
    --@include mark
    local saved = dirty == 0 and struct_unpack('<d', now) or -1 - dirty
    dirty = mark(session, marks, user_id or string.match(session, '%d+$'), now_ms, saved)
  end
  if joined_until > 0 and version > now_ms then
    -- As lib/advance.lua does.
    call('HSET', session, 'life', sub(life, 1, JOINED - 1) .. struct_pack('<d', -joined_until))
  end
  local packed = struct_pack(NOW, version, dirty, dishes, money, xp, clicks + applied, cooked, earned, tat)
  if window then
    call('HSET', session, 'now', packed, window_field, window)
  else
    call('HSET', session, 'now', packed)
  end
end
heard = heard or call('PUBSUB', 'SHARDNUMSUB', channel)[2]
if heard > 1 or heard == 1 and own == '0' then
  --@include tell
  tell(channel, origin, 'sell', version, dishes, money, xp, applied)
end
