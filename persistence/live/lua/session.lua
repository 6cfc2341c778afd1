-- Shows the whole session, with passive income paid first; shows once what long gaps earned.
--
-- KEYS     1 session, 2 dirty:{b}
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline cap (integer, s)
--          7 client (text; empty: none)
-- REPLY    ok, version, saved, email, money, dishes, rank, xp, stars, boost, accumulated, bought, last_seq, off_seconds, off_money,
--          off_dishes, off_xp, off_away_seconds, off_stars, paid, passive
--          missing
--          stale, stamp
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, offline (removed once shown), dirty; the dirty mark; publishes `passive` when
--          income was paid; writes nothing when there is neither
-- COST     HMGET, TIME; with income: HSET, PUBSUB SHARDNUMSUB; the same for any time away

--@include clock
--@include amounts
--@include product
--@include wire
--@include fetch
--@include refusal
--@include income
--@include accrue
--@include window
--@include write
--@include publish

local client = ARGV[7]
local s = fetch(client)
local refused = refusal(s)
if refused then return refused end

local now_us = now()
local now_ms = floor(now_us / 1e3)
local last_seq = window_of(s.window, floor(now_us / 1e6))
local accrued_at = s.accrued_at
accrue(s, now_ms, tonumber(ARGV[6]))
if not s.moved then s.accrued_at = accrued_at end
local shown = pending(s)
if s.moved or shown then
  s.version = next_version(s.version, now_ms)
  s.away = nil
  if s.offline ~= '' then redis.call('HDEL', KEYS[1], 'offline') end
  write(s, now_ms, {})
  if s.paid == 1 then publish(ARGV[3], ARGV[4], ARGV[5], 'passive', s.version, s.money, s.dishes, s.rank, s.xp, s.accumulated) end
end
shown = shown or { 0, 0, 0, 0, 0, 0 }
return {
  'ok', s.version, s.saved, s.email, wire(s.money), wire(s.dishes), s.rank, wire(s.xp), wire(s.stars), wire(s.boost),
  wire(s.accumulated), s.bought, last_seq, shown[1], wire(shown[2]), wire(shown[3]), wire(shown[4]), shown[5], wire(shown[6]), s.paid,
  (s.mPs > 0 or s.dPs > 0) and 1 or 0,
}
