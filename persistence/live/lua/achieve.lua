-- Records the achievements whose counters got to their thresholds since it was last asked, with passive income paid first.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 achievements (text: `id:counter:threshold`, comma-separated; a counter is a number field of the session)
--          7 offline_cap_s (integer)
-- REPLY    ok, version, newly (`id,id,…` ascending; empty: none, and nothing was written)
--          missing
--          stale, stamp
-- SENDS    achieved, version, newly
-- EFFECTS  with news: the session's version, what accruing changes, joined_until, achieved, dirty; the dirty mark; publishes `achieved`
-- COST     HMGET, TIME; with news: HSET, PUBSUB SHARDNUMSUB; O(achievements)

--@include now_us
--@include accrue
--@include advance
--@include with_offline
--@include write
--@include publish
--@include fetch
--@include joined_texts
--@include refusal

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, achievements, offline_cap_s =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local s = fetch(session, marks, user_id, '')
local refused = refusal(s, stamp)
if refused then return refused end

local version, now_ms = s.version, floor(now_us() / 1e3)
accrue(s, now_ms, tonumber(offline_cap_s))
local held = {}
for id in string.gmatch(s.achieved, '%d+') do
  held[#held + 1] = tonumber(id)
  held[id] = true
end
local newly = {}
for id, counter, threshold in string.gmatch(achievements, '(%d+):(%a+):([^,]+)') do
  if not held[id] and s[counter] >= tonumber(threshold) then
    newly[#newly + 1] = tonumber(id)
    held[#held + 1] = tonumber(id)
  end
end
if #newly == 0 then return { 'ok', version, '' } end

table.sort(newly)
table.sort(held)
advance(s, now_ms)
promise(s, now_ms)
local ids = table.concat(newly, ',')
s.achieved = table.concat(held, ',')
write(s, now_ms, with_offline(s, { 'texts', joined_texts(s) }))
publish(channel, own, origin, 'achieved', s.version, ids)
return { 'ok', s.version, ids }
