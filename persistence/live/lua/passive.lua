-- Pays passive income up to now, as a client asks for it.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline_cap_s (integer)
--          7 mark_after_ms (integer: leaves the session unmarked while its last save is younger; 0: marks at once)
-- REPLY    ok, version, money, dishes, rank, xp, accumulated, changed
--          missing
--          stale, stamp
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, dirty; the dirty mark; publishes `passive`; what is left unmarked is not written
--          to the append-only file nor to replicas either, but for what a gap of 10 s or more earned
-- COST     HMGET, TIME; with income: HSET, PUBSUB SHARDNUMSUB; the same for any number of seconds

--@include math
--@include now_us
--@include fetch
--@include pay
--@include publish_income

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, offline_cap_s, mark_after_ms =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local s = fetch(session, marks, user_id, '')
local reply = pay(s, stamp, floor(now_us() / 1e3), tonumber(offline_cap_s), tonumber(mark_after_ms))
if s.paid == 1 then publish_income(s, channel, own, origin) end
return reply
