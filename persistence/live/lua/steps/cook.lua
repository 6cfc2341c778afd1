-- What `cook` does for one player; `cooks` does it for several.
-- Takes session, marks, stamp, user_id, channel, own, origin, count, interval_us, burst, client, seq and offline_cap_s as the head of the
-- script names them, time_us and now_ms, and `heard`, the number of the channel's subscribers: nil where nobody has asked for it yet.
-- A `user_id` of nil is what the session's key ends with.
-- Where the click is applied it leaves version, dishes, xp and applied; otherwise it returns the reply.
-- Operators and comparisons stand where functions could: a call costs more than what it computes.

--@include calls
--@include formats
--@include math
--@include saturated
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
local cook_gain, click_xp, _, _, _, _, _, mPs, dPs = struct_unpack('<ddddddddd', rates)
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
    return { 'duplicate', version, wire(dishes), wire(xp), 0 }
  end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if cook_gain == 0 then return { 'no_dish' } end
local applied = count == '1' and 1 or tonumber(count)
--@include steps/limit

version = coming
local gain = applied * cook_gain
dishes, xp, cooked = dishes + gain, xp + applied * click_xp, cooked + gain
if dishes > LIMIT then dishes = LIMIT end
if xp > LIMIT then xp = LIMIT end
if cooked > LIMIT then cooked = LIMIT end
if window and not known then
  --@include make_room
  make_room(session, version)
end
if s then
  s.dishes, s.xp, s.clicks, s.cooked, s.tat = dishes, xp, clicks + applied, cooked, tat
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
  tell(channel, origin, 'cook', version, dishes, xp, applied)
end
