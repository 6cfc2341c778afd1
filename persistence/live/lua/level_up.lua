-- Raises the rank by one when the xp is there, with passive income paid first.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline_cap_s (integer)
--          7 client (text; empty: none)
--          8 seq (integer; any text without a client)
--          9 levels (text: xp of ranks 1, 2, …, whole numbers, comma-separated)
-- REPLY    ok, version, rank, xp, next (xp that the rank after needs; 0: none follows)
--          unchanged, version, rank, xp, paid, money, dishes, accumulated
--          duplicate, version, rank, xp, next
--          missing
--          stale, stamp
--          seq_too_old, highest
-- SENDS    level_up, version, rank, xp, next
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, joined_until, rank, need, click_xp, c:<client>, dirty; the dirty mark; publishes
--          `level_up`, or `passive` when only income was paid; an unchanged rank records no seq
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB; O(ranks)

--@include math
--@include now_us
--@include next_version
--@include wire
--@include click_xp
--@include fetch
--@include packed_rates
--@include refusal
--@include accrue
--@include advance
--@include with_offline
--@include with_window
--@include write
--@include publish
--@include publish_income
--@include write_income

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, offline_cap_s, client, seq, levels =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

-- Whole xp that a rank needs, 0 where there is no such rank.
local function needed(wanted)
  local rank = 0
  for xp in string.gmatch(levels, '%d+') do
    rank = rank + 1
    if rank == wanted then return tonumber(xp) end
  end
  return 0
end

local s = fetch(session, marks, user_id, client)
local refused = refusal(s, stamp)
if refused then return refused end

local time_us = now_us()
local now_ms = floor(time_us / 1e3)
accrue(s, now_ms, tonumber(offline_cap_s))

local placed, window
if client ~= '' then
  --@include place
  placed, window = place(s.window, tonumber(seq), next_version(s.version + s.reserved, now_ms))
  if placed == 'applied' then
    write_income(s, now_ms, channel, own, origin)
    return { 'duplicate', s.version, s.rank, wire(s.xp), needed(s.rank + 1) }
  end
  if placed == 'old' then return { 'seq_too_old', window } end
end
local need_xp = 100 * needed(s.rank + 1)
local rises = need_xp > 0 and s.xp >= need_xp
if not rises then
  write_income(s, now_ms, channel, own, origin)
  return { 'unchanged', s.version, s.rank, wire(s.xp), s.paid, wire(s.money), wire(s.dishes), wire(s.accumulated) }
end

s.rank, s.xp = s.rank + 1, s.xp - need_xp
advance(s, now_ms)
promise(s, now_ms)
s.need = needed(s.rank + 1)
s.click_xp = click_xp(s.stars, s.need)
local more = with_offline(s, { 'rates', packed_rates(s) })
write(s, now_ms, with_window(more, session, client, s.window, window, s.version))
publish(channel, own, origin, 'level_up', s.version, s.rank, s.xp, s.need)
return { 'ok', s.version, s.rank, wire(s.xp), s.need }
