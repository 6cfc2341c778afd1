-- Pays passive income up to now to some connected players, each as `passive` does.
--
-- KEYS     1 session, 2 dirty:{b}; the same for each player…
-- ARGV     1 stamp (text)
--          2 origin (text, no spaces)
--          3 offline cap (integer, s)
--          4 mark after (integer, ms: leaves a session unmarked while its last save is younger)
--          5 user_id (integer)
--          6 channel (text)
--          7 own (0 or 1: the caller's subscriptions to the channel); 5 to 7 for each player…
-- REPLY    ok, version, money, dishes, rank, xp, accumulated, changed
--          missing
--          stale, stamp
-- EFFECTS  those of `passive`; replies a list for each player
-- COST     TIME; a player: HMGET, with income HSET and PUBSUB SHARDNUMSUB

--@include clock
--@include amounts
--@include product
--@include wire
--@include record
--@include refusal
--@include income
--@include accrue
--@include write
--@include publish
--@include pay

local now_ms, cap_s, mark_after_ms = floor(now() / 1e3), tonumber(ARGV[3]), tonumber(ARGV[4])
local texts, replies = { 'offline' }, {}
for i = 1, #KEYS / 2 do
  local at = 2 + 3 * i
  local s = fetch('', texts, KEYS[2 * i - 1], KEYS[2 * i], ARGV[at])
  replies[i] = pay(s, ARGV[at + 1], ARGV[at + 2], ARGV[2], now_ms, cap_s, mark_after_ms)
end
return replies
