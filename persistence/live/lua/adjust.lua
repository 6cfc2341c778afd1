-- Changes one thing of a session for an operator, with passive income paid first: an amount, the rank, or how often an upgrade is
-- owned. Twin of game/adjusting.py.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline_cap_s (integer)
--          7 client (text: the name under which operators' numbers are remembered)
--          8 seq (integer: the number of the change, which grows with each of this player)
--          9 what (text: money, dishes, xp, stars, accumulated, boost or rank; else the id of an upgrade)
--          10 by (number in the unit of the field: how much more, or less; of the rank the new one)
--          11 upgrades (text: `id:boost type:value in hundredths:is_dish`, comma-separated)
--          12 levels (text: xp of ranks 1, 2, …, whole numbers, comma-separated)
-- REPLY    ok, version, before, after
--          duplicate, version
--          out_of_range, before (what it would become is below 0, no whole number, or more than the rules allow)
--          upgrade_not_found
--          missing
--          stale, stamp
--          seq_too_old, highest
-- SENDS    reloaded, version
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, joined_until, the thing itself, every derived number, c:<client>, dirty; the
--          dirty mark; publishes `reloaded`, and `passive` after it where there is passive income; a refusal writes nothing
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB; O(upgrades of the catalogue + ranks)

--@include math
--@include now_us
--@include next_version
--@include wire
--@include derive
--@include fetch
--@include joined_texts
--@include packed_rates
--@include refusal
--@include accrue
--@include advance
--@include place
--@include with_offline
--@include with_window
--@include write
--@include publish
--@include publish_income

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, offline_cap_s, client, seq, what, by, upgrades, levels =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]

local AMOUNTS = { money = true, dishes = true, xp = true, stars = true, accumulated = true, boost = true }
-- As often may one upgrade be owned: what it costs then is still computed (game/rates.py).
local MOST_OWNED = 100000

-- How often each upgrade is owned, and the ids in the order of `bought`, ascending, with `wanted` among them.
local function owned(bought, wanted)
  local times, ids = { [wanted] = 0 }, { wanted }
  for id, count in string.gmatch(bought, '(%d+):(%d+)') do
    id = tonumber(id)
    if id ~= wanted then ids[#ids + 1] = id end
    times[id] = tonumber(count)
  end
  table.sort(ids)
  return times, ids
end

local s = fetch(session, marks, user_id, client)
local refused = refusal(s, stamp)
if refused then return refused end

local now_ms = floor(now_us() / 1e3)
local placed, window = place(s.window, tonumber(seq), next_version(s.version + s.reserved, now_ms))
if placed == 'applied' then return { 'duplicate', s.version } end
if placed == 'old' then return { 'seq_too_old', window } end

accrue(s, now_ms, tonumber(offline_cap_s))
local before, after, most, times, ids
local id = tonumber(what)
if AMOUNTS[what] then
  before, most = s[what], LIMIT
  after = before + tonumber(by)
elseif what == 'rank' then
  local _, ranks = string.gsub(levels, '%d+', '')
  before, after, most = s.rank, tonumber(by), ranks
else
  local is_dish = id and string.match(',' .. upgrades, ',' .. string.format('%.0f', id) .. ':%a+:%d+:(%d)')
  if not is_dish then return { 'upgrade_not_found' } end
  times, ids = owned(s.bought, id)
  before, most = times[id], is_dish == '1' and 1 or MOST_OWNED
  after = before + tonumber(by)
end
-- What is no number compares as neither.
if not (after >= 0 and after <= most and after == floor(after)) then return { 'out_of_range', wire(before) } end

if times then
  times[id] = after
  local entries = {}
  for _, each in ipairs(ids) do
    if times[each] > 0 then entries[#entries + 1] = string.format('%.0f:%.0f', each, times[each]) end
  end
  s.bought = table.concat(entries, ',')
else
  s[what] = after
end
derive(s, s, upgrades, levels)
advance(s, now_ms)
local more = with_offline(s, { 'texts', joined_texts(s), 'rates', packed_rates(s) })
write(s, now_ms, with_window(more, session, client, s.window, window, s.version))
publish(channel, own, origin, 'reloaded', s.version)
if s.mPs > 0 or s.dPs > 0 then publish_income(s, channel, own, origin) end
return { 'ok', s.version, wire(before), wire(after) }
