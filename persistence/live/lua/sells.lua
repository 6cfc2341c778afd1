-- Sells for some players, each as `sell` does: nobody's fault touches the others.
--
-- KEYS     1 session, 2 marks (dirty:{b}); the same for each player…
-- ARGV     1 stamp (text)
--          2 origin (text, no spaces)
--          3 interval_us (number, of the rate limit; 0: none)
--          4 burst (integer, at least 1)
--          5 offline_cap_s (integer)
--          6 channel (text)
--          7 own (0 or 1: the caller's subscriptions to the channel)
--          8 count (integer, at least 1)
--          9 client (text; empty: none)
--          10 seq (integer; any text without a client); 6 to 10 for each player, or 6 alone for one click where `own` is 1…
-- REPLY    {clicks…}
--          click: {version, dishes, money, xp, applied} (not in a list of its own; where it was not applied, what `sell` replies in place of the version)
--          duplicate, version, dishes, money, xp, applied (0)
--          missing
--          stale, stamp
--          seq_too_old, highest
--          no_dishes
--          rate_limited, retry_after_ms
-- SENDS    sell, version, dishes, money, xp, applied
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  those of `sell`; an error that a player's own sell raised is that player's reply
-- COST     TIME, PUBSUB SHARDNUMSUB; a player: as `sell` without these

--@include now_us
--@include raised

local stamp, origin, interval_us, burst, offline_cap_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local keys, arguments, shared, words = KEYS, ARGV, 5, 5

-- Numbers once for all players.
interval_us, burst = 1 * interval_us, 1 * burst
local time_us = now_us()
local now_ms = math.floor(time_us / 1e3)
--@include steps/call

local function serve()
  --@include calls
  --@include formats
  --@include math
  --@include saturated
  --@include ceiling
  --@include wire
  --@include place
  while served < players do
    --@include steps/next_player
    --@include steps/sell
    replies[at] = version
    replies[at + 1] = dishes < EXACT and dishes or wire(dishes)
    replies[at + 2] = money < EXACT and money or wire(money)
    replies[at + 3] = xp < EXACT and xp or wire(xp)
    replies[at + 4] = applied
  end
end

--@include steps/serve_all
return replies
