-- Trades everything for prestige: takes at least 1 accumulated star, with passive income paid first.
--
-- KEYS     1 session, 2 dirty:{b}
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline cap (integer, s)
--          7 client (text; empty: none)
--          8 seq (integer; any text without a client)
-- REPLY    ok, version, money, dishes, rank, xp, stars, boost, accumulated
--          duplicate, version, money, dishes, rank, xp, stars, boost, accumulated
--          missing
--          stale, stamp
--          seq_too_old, highest
--          not_enough_prestige
-- SENDS    session_reset, version, money, dishes, rank, xp, stars, boost, accumulated
-- EFFECTS  session: version, what accruing changes, rank, stars, boost, bought, resets, the derived fields, c:<client>,
--          dirty; the dirty mark; publishes `session_reset`
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB

--@include clock
--@include amounts
--@include product
--@include wire
--@include derive
--@include fetch
--@include packed_rates
--@include refusal
--@include income
--@include accrue
--@include write
--@include publish

local ONE_STAR = 10000

local client = ARGV[7]
local s = fetch(client)
local refused = refusal(s)
if refused then return refused end

local now_us = now()
local now_ms, now_s = floor(now_us / 1e3), floor(now_us / 1e6)
local placed, window
if client ~= '' then
  --@include window
  placed, window = place(s.window, tonumber(ARGV[8]), now_s)
  if placed == 'applied' then
    return { 'duplicate', s.version, wire(s.money), wire(s.dishes), s.rank, wire(s.xp), wire(s.stars), wire(s.boost), wire(s.accumulated) }
  end
  if placed == 'old' then return { 'seq_too_old', window } end
end
accrue(s, now_ms, tonumber(ARGV[6]))
if s.accumulated < ONE_STAR then return { 'not_enough_prestige' } end

s.version = next_version(s.version, now_ms)
s.stars = saturated(s.stars + s.accumulated)
s.boost = saturated(s.boost + 10 + half_up(20000, s.stars, 1))
s.resets = s.resets + 1
s.money, s.dishes, s.rank, s.xp, s.accumulated = 0, 0, 0, 0, 0
s.dPc, s.mPc, s.sPs, s.dPs, s.mPs, s.dM, s.mM, s.dpM, s.mpM = 0, 0, 0, 0, 0, 0, 0, 0, 0
s.cook_gain, s.click_xp, s.need = 0, click_xp(s.stars, s.first_need), s.first_need
s.bought = ''
local more = with_offline(s, { 'texts', joined_texts(s), 'rates', packed_rates(s) })
if window then
  if not s.window then
    --@include room
    make_room(now_s)
  end
  more[#more + 1] = 'c:' .. client
  more[#more + 1] = window
end
write(s, now_ms, more)
publish(ARGV[3], ARGV[4], ARGV[5], 'session_reset', s.version, 0, 0, 0, 0, s.stars, s.boost, 0)
return { 'ok', s.version, 0, 0, 0, 0, wire(s.stars), wire(s.boost), 0 }
