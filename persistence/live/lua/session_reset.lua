-- Trades everything for prestige: takes at least 1 accumulated star, with passive income paid first.
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
-- REPLY    ok, version, money, dishes, rank, xp, stars, boost, accumulated
--          duplicate, version, money, dishes, rank, xp, stars, boost, accumulated
--          missing
--          stale, stamp
--          seq_too_old, highest
--          not_enough_prestige
-- SENDS    session_reset, version, money, dishes, rank, xp, stars, boost, accumulated
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, joined_until, rank, stars, boost, bought, resets, the derived fields, c:<client>,
--          dirty; the dirty mark; publishes `session_reset`, or `passive` where a duplicate paid income
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB

--@include math
--@include now_us
--@include next_version
--@include saturated
--@include half_up
--@include wire
--@include click_xp
--@include fetch
--@include joined_texts
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
local stamp, user_id, channel, own, origin, offline_cap_s, client, seq =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local ONE_STAR = 10000

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
    return { 'duplicate', s.version, wire(s.money), wire(s.dishes), s.rank, wire(s.xp), wire(s.stars), wire(s.boost), wire(s.accumulated) }
  end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if s.accumulated < ONE_STAR then return { 'not_enough_prestige' } end

advance(s, now_ms)
s.stars = saturated(s.stars + s.accumulated)
s.boost = saturated(s.boost + 10 + half_up(20000, s.stars, 1))
s.resets = s.resets + 1
s.money, s.dishes, s.rank, s.xp, s.accumulated = 0, 0, 0, 0, 0
s.dPc, s.mPc, s.sPs, s.dPs, s.mPs, s.dM, s.mM, s.dpM, s.mpM = 0, 0, 0, 0, 0, 0, 0, 0, 0
s.cook_gain, s.click_xp, s.need = 0, click_xp(s.stars, s.first_need), s.first_need
s.bought = ''
promise(s, now_ms)
local more = with_offline(s, { 'texts', joined_texts(s), 'rates', packed_rates(s) })
write(s, now_ms, with_window(more, session, client, s.window, window, s.version))
publish(channel, own, origin, 'session_reset', s.version, 0, 0, 0, 0, s.stars, s.boost, 0)
return { 'ok', s.version, 0, 0, 0, 0, wire(s.stars), wire(s.boost), 0 }
