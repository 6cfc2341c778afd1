-- Puts what an export has in the place of a session's own progress, for an operator, with passive income paid first. Twin of
-- game/replacing.py.
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
--          9 progress (text: the numbers of PROGRESS, comma-separated, in the units of a session; `;`, `bought`; `;`, `achieved`)
--          10 upgrades (text: `id:boost type:value in hundredths:is_dish`, comma-separated)
--          11 levels (text: xp of ranks 1, 2, …, whole numbers, comma-separated)
-- REPLY    ok, version, found (text: what was there, as `progress`)
--          duplicate, version
--          out_of_range, what (a number's name, or the id of an upgrade, that the rules do not allow)
--          missing
--          stale, stamp
--          seq_too_old, highest
-- SENDS    reloaded, version
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, joined_until, every number of PROGRESS, bought, achieved, every derived number,
--          c:<client>, dirty; the dirty mark; publishes `reloaded`, and `passive` after it where there is passive income; a refusal writes nothing
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
local stamp, user_id, channel, own, origin, offline_cap_s, client, seq, progress, upgrades, levels =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]

local PROGRESS = {
  'money', 'dishes', 'xp', 'stars', 'accumulated', 'boost', 'rank', 'clicks', 'cooked', 'earned', 'purchases', 'resets',
}
-- As often may one upgrade be owned: what it costs then is still computed (game/rates.py).
local MOST_OWNED = 100000

-- The first thing that the rules do not allow, or nil; numbers go into `given`.
local function forbidden(given, numbers, bought)
  local _, ranks = string.gsub(levels, '%d+', '')
  local texts = string.gmatch(numbers, '[^,]+')
  for _, name in ipairs(PROGRESS) do
    local value = tonumber(texts() or '')
    local most = name == 'rank' and ranks or LIMIT
    -- What is no number compares as neither.
    if not (value and value >= 0 and value <= most and value == floor(value)) then return name end
    given[name] = value
  end
  for id, times in string.gmatch(bought, '(%d+):(%d+)') do
    local is_dish = string.match(',' .. upgrades, ',' .. id .. ':%a+:%d+:(%d)')
    local most = is_dish == '1' and 1 or MOST_OWNED
    if not is_dish or tonumber(times) < 1 or tonumber(times) > most then return id end
  end
end

local s = fetch(session, marks, user_id, client)
local refused = refusal(s, stamp)
if refused then return refused end

local now_ms = floor(now_us() / 1e3)
local placed, window = place(s.window, tonumber(seq), next_version(s.version + s.reserved, now_ms))
if placed == 'applied' then return { 'duplicate', s.version } end
if placed == 'old' then return { 'seq_too_old', window } end

local given = {}
local numbers, bought, achieved = string.match(progress, '^([^;]*);([%d:,]*);([%d,]*)$')
local wrong = forbidden(given, numbers or '', bought or '')
if wrong then return { 'out_of_range', wrong } end

accrue(s, now_ms, tonumber(offline_cap_s))
local found = {}
for at, name in ipairs(PROGRESS) do
  found[at] = string.format('%.17g', s[name])
  s[name] = given[name]
end
found = table.concat(found, ',') .. ';' .. s.bought .. ';' .. s.achieved
s.bought, s.achieved = bought, achieved
derive(s, s, upgrades, levels)
advance(s, now_ms)
local more = with_offline(s, { 'texts', joined_texts(s), 'rates', packed_rates(s) })
write(s, now_ms, with_window(more, session, client, s.window, window, s.version))
publish(channel, own, origin, 'reloaded', s.version)
if s.mPs > 0 or s.dPs > 0 then publish_income(s, channel, own, origin) end
return { 'ok', s.version, found }
