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
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  those of `passive`, also that what is left unmarked stays out of the append-only file; replies a list for each player
-- COST     TIME, PUBSUB SHARDNUMSUB; a player: HMGET, with income HSET, after a long gap HGET

--@include clock
--@include amounts
--@include product
--@include wire
--@include record
--@include refusal
--@include income
--@include accrue
--@include write
--@include tell
--@include pay

local now_ms, cap_s, mark_after_ms = floor(now() / 1e3), tonumber(ARGV[3]), tonumber(ARGV[4])
local count, channels = #KEYS / 2, {}
for i = 1, count do
  channels[i] = ARGV[3 + 3 * i]
end
local subscribers = redis.call('PUBSUB', 'SHARDNUMSUB', unpack(channels))
-- One table serves all: with one of its own, and a count of subscribers, for each player a tick took a fifth more instructions.
local s, replies = {}, {}
for i = 1, count do
  s.key, s.marks, s.user_id = KEYS[2 * i - 1], KEYS[2 * i], ARGV[2 + 3 * i]
  s.offline, s.away, s.kept, s.paid = nil, nil, nil, 0
  local f = redis.call('HMGET', s.key, 'now', 'life', 'rates')
  take(s, f[1], f[2], f[3])
  replies[i] = pay(s, now_ms, cap_s, mark_after_ms)
  if s.paid == 1 and subscribers[2 * i] > tonumber(ARGV[4 + 3 * i]) then
    tell(channels[i], ARGV[2], 'passive', s.version, s.money, s.dishes, s.rank, s.xp, s.accumulated)
  end
end
return replies
