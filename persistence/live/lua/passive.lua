-- Pays passive income up to now, as a client asks for it.
--
-- KEYS     1 session, 2 dirty:{b}
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline cap (integer, s)
--          7 mark after (integer, ms: leaves the session unmarked while its last save is younger; 0: marks at once)
-- REPLY    ok, version, money, dishes, rank, xp, accumulated, changed
--          missing
--          stale, stamp
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, dirty; the dirty mark; publishes `passive`; what is left unmarked is not written
--          to the append-only file nor to replicas either, but for what a gap of 10 s or more earned
-- COST     HMGET, TIME; with income: HSET, PUBSUB SHARDNUMSUB; the same for any number of seconds

--@include clock
--@include amounts
--@include product
--@include wire
--@include fetch
--@include refusal
--@include income
--@include accrue
--@include write
--@include publish
--@include pay

local s = fetch('')
local reply = pay(s, floor(now() / 1e3), tonumber(ARGV[6]), tonumber(ARGV[7]))
if s.paid == 1 then publish(ARGV[3], ARGV[4], ARGV[5], 'passive', s.version, s.money, s.dishes, s.rank, s.xp, s.accumulated) end
return reply
