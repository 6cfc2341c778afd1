-- Records the achievements whose counters got to their thresholds since it was last asked.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 achievements (text: `id:counter:threshold`, comma-separated; a counter is a number field of the session)
-- REPLY    ok, version, newly (`id,id,…` ascending; empty: none, and nothing was written)
--          missing
--          stale, stamp
-- SENDS    achieved, version, newly
-- EFFECTS  session: version, achieved, dirty; the dirty mark; publishes `achieved`
-- COST     HMGET; with news: TIME, HSET, PUBSUB SHARDNUMSUB; O(achievements)

--@include now_us
--@include next_version
--@include write
--@include publish
--@include fetch
--@include joined_texts
--@include refusal

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, achievements = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local s = fetch(session, marks, user_id, '')
local refused = refusal(s, stamp)
if refused then return refused end

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
if #newly == 0 then return { 'ok', s.version, '' } end

table.sort(newly)
table.sort(held)
local now_ms = math.floor(now_us() / 1e3)
s.version = next_version(s.version, now_ms)
local ids = table.concat(newly, ',')
s.achieved = table.concat(held, ',')
write(s, now_ms, { 'texts', joined_texts(s) })
publish(channel, own, origin, 'achieved', s.version, ids)
return { 'ok', s.version, ids }
