-- Pays passive income up to now to some connected players, each as `passive` does.
--
-- KEYS     1 session, 2 marks (dirty:{b}); the same for each player…
-- ARGV     1 stamp (text)
--          2 origin (text, no spaces)
--          3 offline_cap_s (integer)
--          4 mark_after_ms (integer: leaves a session unmarked while its last save is younger)
--          5 user_id (integer)
--          6 channel (text)
--          7 own (0 or 1: the caller's subscriptions to the channel); 5 to 7 for each player…
-- REPLY    ok, version, money, dishes, rank, xp, accumulated, changed
--          missing
--          stale, stamp
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  those of `passive`, also that what is left unmarked stays out of the append-only file; replies a list for each player
-- COST     TIME, PUBSUB SHARDNUMSUB; a player: HMGET, with income HSET, after a long gap HGET

--@include math
--@include now_us
--@include take
--@include pay
--@include tell

local stamp, origin, offline_cap_s, mark_after_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local now_ms = floor(now_us() / 1e3)
local count, channels = #KEYS / 2, {}
for i = 1, count do
  channels[i] = ARGV[3 + 3 * i]
end
local subscribers = redis.call('PUBSUB', 'SHARDNUMSUB', unpack(channels))
-- One table serves all: with one of its own, and a count of subscribers, for each player a tick took a fifth more instructions.
local s, replies = {}, {}
for i = 1, count do
  local user_id, channel, own = ARGV[2 + 3 * i], channels[i], tonumber(ARGV[4 + 3 * i])
  s.key, s.marks, s.user_id = KEYS[2 * i - 1], KEYS[2 * i], user_id
  s.offline, s.away, s.kept, s.paid = nil, nil, nil, 0
  local f = redis.call('HMGET', s.key, 'now', 'life', 'rates')
  local now, life, rates = f[1], f[2], f[3]
  take(s, now, life, rates)
  replies[i] = pay(s, stamp, now_ms, offline_cap_s, mark_after_ms)
  if s.paid == 1 and subscribers[2 * i] > own then
    tell(channel, origin, 'passive', s.version, s.money, s.dishes, s.rank, s.xp, s.accumulated)
  end
end
return replies
