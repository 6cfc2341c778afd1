-- Pays passive income up to now, as a client asks for it, or a process for a player joined there.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline_cap_s (integer)
-- REPLY    ok, version, money, dishes, rank, xp, accumulated, changed
--          missing
--          stale, stamp
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, joined_until, dirty; the dirty mark; publishes `passive`
-- COST     HMGET, TIME; with income: HSET, PUBSUB SHARDNUMSUB; the same for any number of seconds

--@include math
--@include now_us
--@include wire
--@include fetch
--@include refusal
--@include accrue
--@include advance
--@include with_offline
--@include write
--@include renew
--@include publish_income

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, offline_cap_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local s = fetch(session, marks, user_id, '')
local refused = refusal(s, stamp)
if refused then return refused end

local now_ms = floor(now_us() / 1e3)
accrue(s, now_ms, tonumber(offline_cap_s))
if s.moved then
  advance(s, now_ms)
  promise(s, now_ms, true)
  write(s, now_ms, with_offline(s, {}))
  if s.paid == 1 then publish_income(s, channel, own, origin) end
else
  renew(s, now_ms, true)
end
return { 'ok', s.version, wire(s.money), wire(s.dishes), s.rank, wire(s.xp), wire(s.accumulated), s.paid }
