-- Sells: as many of `count` clicks as there are dishes for and the rate limit lets pass, computed at once, with passive income paid
-- first.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 count (integer, at least 1)
--          7 interval_us (number, of the rate limit; 0: none)
--          8 burst (integer, at least 1)
--          9 client (text; empty: none)
--          10 seq (integer; any text without a client)
--          11 offline_cap_s (integer)
-- REPLY    ok, version, dishes, money, xp, applied
--          duplicate, version, dishes, money, xp, applied (0)
--          missing
--          stale, stamp
--          seq_too_old, highest
--          no_dishes
--          rate_limited, retry_after_ms
-- SENDS    sell, version, dishes, money, xp, applied
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: now (version, dirty, dishes, money, xp, clicks, earned, tat), what accruing changes, joined_until, c:<client>; the
--          dirty mark; publishes `sell`, or `passive` where a duplicate paid income
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB; the first since the last save: ZADD, PERSIST; a client's first time: HGETALL

--@include now_us

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, count, interval_us, burst, client, seq, offline_cap_s =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local heard = nil
local time_us = now_us()
local now_ms = math.floor(time_us / 1e3)

--@include steps/sell

return { 'ok', version, wire(dishes), wire(money), wire(xp), applied }
