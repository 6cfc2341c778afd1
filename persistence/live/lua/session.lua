-- Shows the whole session, with passive income paid first; shows once what long gaps earned.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline_cap_s (integer)
--          7 client (text; empty: none)
-- REPLY    ok, version, saved, email, money, dishes, rank, xp, stars, boost, accumulated, bought, last_seq, off_seconds, off_money,
--          off_dishes, off_xp, off_away_seconds, off_stars, paid, passive
--          missing
--          stale, stamp
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, offline (removed once shown), joined_until, dirty; the dirty mark; publishes
--          `passive` when income was paid; without either at most joined_until
-- COST     HMGET, TIME; with income: HSET, PUBSUB SHARDNUMSUB; the same for any time away

--@include math
--@include now_us
--@include next_version
--@include wire
--@include fetch
--@include refusal
--@include accrue
--@include advance
--@include renew
--@include pending
--@include window_of
--@include write
--@include publish_income

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, offline_cap_s, client = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local s = fetch(session, marks, user_id, client)
local refused = refusal(s, stamp)
if refused then return refused end

local time_us = now_us()
local now_ms = floor(time_us / 1e3)
local last_seq = window_of(s.window, next_version(s.version + s.reserved, now_ms))
local accrued_at = s.accrued_at
accrue(s, now_ms, tonumber(offline_cap_s))
if not s.moved then s.accrued_at = accrued_at end
local shown = pending(s)
if s.moved or shown then
  advance(s, now_ms)
  promise(s, now_ms)
  s.away = nil
  if s.offline ~= '' then redis.call('HDEL', session, 'offline') end
  write(s, now_ms, {})
  if s.paid == 1 then publish_income(s, channel, own, origin) end
else
  renew(s, now_ms)
end
local off_seconds, off_money, off_dishes, off_xp, off_away_seconds, off_stars = unpack(shown or { 0, 0, 0, 0, 0, 0 })
return {
  'ok', s.version, s.saved, s.email, wire(s.money), wire(s.dishes), s.rank, wire(s.xp), wire(s.stars), wire(s.boost),
  wire(s.accumulated), s.bought, last_seq, off_seconds, wire(off_money), wire(off_dishes), wire(off_xp),
  off_away_seconds, wire(off_stars), s.paid,
  (s.mPs > 0 or s.dPs > 0) and 1 or 0,
}
