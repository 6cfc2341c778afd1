-- Cooks for some players, each as `cook` does: nobody's fault touches the others.
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
-- REPLY    ok, version, dishes, xp, applied
--          duplicate, version, dishes, xp, applied (0)
--          missing
--          stale, stamp
--          seq_too_old, highest
--          no_dish
--          rate_limited, retry_after_ms
-- SENDS    cook, version, dishes, xp, applied
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  those of `cook`; replies a list for each player, or the error that its own cook raised
-- COST     TIME, PUBSUB SHARDNUMSUB; a player: as `cook` without these

--@include formats
--@include math
--@include now_us
--@include saturated
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

local function cook(session, marks, user_id, channel, heard, own, count, client, seq)
  --@include steps/cook
end

return served(cook, KEYS, ARGV, 5)
