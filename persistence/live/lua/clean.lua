#!lua flags=allow-oom
-- Takes back the marks of sessions that PostgreSQL has been given. A mark goes only where the session still has the version
-- that was written; where it has moved on, the mark counts from the moment of the read: what is unsaved is younger than that.
-- A mark without a session goes.
--
-- KEYS     1 session, 2 dirty:{b}; the same for each session…
-- ARGV     1 ttl (integer, s)
--          2 moment of the read (integer, ms)
--          3 user_id (integer)
--          4 version that was written (integer); 3 and 4 for each session…
-- REPLY    clean
--          dirty (changed since)
--          gone (there is no session)
-- EFFECTS  session: life (saved, saved_at); where clean also now (dirty), EXPIRE and the mark; replies a word for each session
-- COST     a session: HMGET, HSET, ZREM, EXPIRE

--@include formats

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl_s, read_ms = ARGV[1], ARGV[2]

local function clean(session, dirty, user_id, written)
  local held = redis.call('HMGET', session, 'now', 'life')
  if not held[1] then
    redis.call('ZREM', dirty, user_id)
    return { 'gone' }
  end
  local version = struct.unpack('<d', held[1])
  local life = string.sub(held[2], 1, SAVED - 1) .. struct.pack('<dd', written, now_ms)
  if version == written then
    redis.call('HSET', session, 'now', struct.pack('<dd', version, 0) .. string.sub(held[1], REST), 'life', life)
    redis.call('ZREM', dirty, user_id)
    redis.call('EXPIRE', session, ttl_s)
    return { 'clean' }
  end
  -- A version below the written one is a Redis that fell back: its mark stays, and the next flush finds PostgreSQL ahead.
  if version > written and struct.unpack('<d', held[2], SAVED) < written then
    -- With `now`, so that neither is older than the other in the append-only file.
    redis.call('HSET', session, 'now', held[1], 'life', life)
    redis.call('ZADD', dirty, 'XX', 'GT', read_ms, user_id)
  end
  return { 'dirty' }
end

local words = {}
for i = 1, #KEYS / 2 do
  words[i] = clean(KEYS[2 * i - 1], KEYS[2 * i], ARGV[2 * i + 1], tonumber(ARGV[2 * i + 2]))[1]
end
return words
