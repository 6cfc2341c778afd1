-- Sells for some players, each as `sell` does: nobody's fault touches the others.
--
-- KEYS     1 session, 2 marks (dirty:{b}); the same for each player…
-- ARGV     1 stamp (text)
--          2 origin (text, no spaces)
--          3 interval_us (number, of the rate limit; 0: none)
--          4 burst (integer, at least 1)
--          5 offline_cap_s (integer)
--          6 user_id (integer)
--          7 channel (text)
--          8 own (0 or 1: the caller's subscriptions to the channel)
--          9 count (integer, at least 1)
--          10 client (text; empty: none)
--          11 seq (integer; any text without a client); 6 to 11 for each player, or 6 to 8 where all click once without a client…
-- REPLY    ok, version, dishes, money, xp, applied
--          duplicate, version, dishes, money, xp, applied (0)
--          missing
--          stale, stamp
--          seq_too_old, highest
--          no_dishes
--          rate_limited, retry_after_ms
-- SENDS    sell, version, dishes, money, xp, applied
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  those of `sell`; replies a list for each player, or the error that its own sell raised
-- COST     TIME, PUBSUB SHARDNUMSUB; a player: as `sell` without these

--@include formats
--@include math
--@include now_us
--@include saturated
--@include ceiling
--@include multiplier
--@include wire
--@include next_version
--@include place
--@include draw
--@include mark
--@include make_room
--@include tell
--@include served

local stamp, origin, interval_us, burst, offline_cap_s = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local time_us = now_us()
local now_ms = floor(time_us / 1e3)

local function sell(session, marks, user_id, channel, heard, own, count, client, seq)
  --@include steps/sell
end

return served(sell, KEYS, ARGV, 5)
