-- Derives boosts and gains again, under a new stamp. Income up to now is paid first; what was earned under an older catalogue is
-- paid at its rates until it ended, from then on at the new ones.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 new_stamp (text: <generation>.<run id>)
--          2 user_id (integer)
--          3 offline_cap_s (integer)
--          4 channel (text)
--          5 upgrades (text: `id:boost type:value in hundredths:is_dish`, comma-separated)
--          6 levels (text: xp of ranks 1, 2, …, whole numbers, comma-separated)
--          7 changes (text: since when generations hold, `generation:ms`, comma-separated)
-- REPLY    ok, version, passive
--          missing
--          behind, stamp
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
--          reloaded, version
-- EFFECTS  session: stamp and every derived field; where income was paid, or changes may be missing, also version, what accruing
--          changes, joined_until, dirty and the dirty mark, and floor goes; with income publishes `passive`, or `reloaded` where no
--          more is to come, by nobody's origin: the caller's connections are to hear of it too
-- COST     HMGET, TIME, HGET, HSET, PUBSUB SHARDNUMSUB; O(upgrades of the catalogue + ranks)

--@include math
--@include now_us
--@include derive
--@include fetch
--@include packed_rates
--@include accrue
--@include advance
--@include with_offline
--@include write
--@include publish
--@include publish_income

local session, marks = KEYS[1], KEYS[2]
local new_stamp, user_id, offline_cap_s, channel, upgrades, levels, changes =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local s = fetch(session, marks, user_id, '')
if s.version == 0 then return { 'missing' } end
local stored, generation = string.match(s.stamp, '^%d+'), string.match(new_stamp, '^%d+')
if stored and tonumber(stored) > tonumber(generation) then return { 'behind', s.stamp } end

local rates = {}
derive(rates, s, upgrades, levels)
local passive = rates.mPs > 0 or rates.dPs > 0

-- At the old rates until their catalogue ended, from then on at the new ones.
local pays = passive or stored and (s.mPs > 0 or s.dPs > 0)
local since, now_ms, cap_s = s.accrued_at, floor(now_us() / 1e3), tonumber(offline_cap_s)
-- Under another run of Redis changes may be missing that players know of: what a replica that took over had not been sent. Each had
-- the time it was made at, or a version one above the one before. No clock that is behind by less than this may lead back to them. A
-- session without a run was loaded from PostgreSQL: perhaps since a run lost it whole.
local BEHIND_MS = 30000
local run, new_run = string.match(s.stamp, '%.(.+)$'), string.match(new_stamp, '%.(.+)$')
local lost = run ~= new_run
if lost then
  s.version = max(s.version, now_ms) + BEHIND_MS
  -- What a connection was sent, perhaps by a run whose clock is ahead of this one's.
  local floor = redis.call('HGET', session, 'floor')
  if floor then
    s.version = max(s.version, tonumber(floor))
    redis.call('HDEL', session, 'floor')
  end
end
if pays and stored then
  local ended = string.match(',' .. changes, ',' .. string.format('%.0f', stored + 1) .. ':(%d+)')
  -- A catalogue that ended before the last payment is no clock that ran back.
  accrue(s, min(max(tonumber(ended or now_ms), s.accrued_at), now_ms), cap_s)
end
for name, value in pairs(rates) do
  s[name] = value
end
if pays then
  accrue(s, now_ms, max(0, cap_s - (s.away and s.away[5] or 0)))
end

s.stamp = new_stamp
local more = { 'rates', packed_rates(s) }
if lost or s.accrued_at ~= since then
  advance(s, now_ms)
  write(s, now_ms, with_offline(s, more))
else
  redis.call('HSET', session, unpack(more))
end
-- Also where nothing was paid: who computes at the old rates is to read again.
if passive then
  publish_income(s, channel, 0, 'refresh')
elseif pays then
  -- Of the last income that there was: a `passive` would say that there is more to come.
  publish(channel, 0, 'refresh', 'reloaded', s.version)
end
return { 'ok', s.version, passive and 1 or 0 }
