#!lua flags=allow-oom
-- Takes back the marks of sessions that PostgreSQL has been given. A mark goes only where the session still has the version
-- that was written; where it has moved on, the mark counts from the moment of the read: what is unsaved is younger than that.
-- A mark without a session goes.
--
-- KEYS     1 session, 2 marks (dirty:{b}); the same for each session…
-- ARGV     1 ttl_s (integer)
--          2 read_ms (integer: the moment of the read)
--          3 user_id (integer)
--          4 written (integer: the version that PostgreSQL has); 3 and 4 for each session…
-- REPLY    clean
--          dirty (changed since)
--          gone (there is no session)
-- EFFECTS  session: life (saved); where clean also now (dirty), EXPIRE and the mark; replies a word for each session
-- COST     a session: HMGET, HSET, ZREM, EXPIRE

--@include formats

local ttl_s, read_ms = ARGV[1], ARGV[2]

local function clean(session, marks, user_id, written)
  local held = redis.call('HMGET', session, 'now', 'life')
  local now, life = held[1], held[2]
  if not now then
    redis.call('ZREM', marks, user_id)
    return { 'gone' }
  end
  local version = struct.unpack('<d', now)
  local saved_life = string.sub(life, 1, SAVED - 1) .. struct.pack('<d', written) .. string.sub(life, JOINED)
  if version == written then
    redis.call('HSET', session, 'now', struct.pack('<dd', version, 0) .. string.sub(now, REST), 'life', saved_life)
    redis.call('ZREM', marks, user_id)
    redis.call('EXPIRE', session, ttl_s)
    return { 'clean' }
  end
  -- A version below the written one means that Redis lost its last seconds: its mark stays, and the next flush finds PostgreSQL ahead.
  if version > written and struct.unpack('<d', life, SAVED) < written then
    redis.call('HSET', session, 'life', saved_life)
    redis.call('ZADD', marks, 'XX', 'GT', read_ms, user_id)
  end
  return { 'dirty' }
end

local statuses = {}
for i = 1, #KEYS / 2 do
  local session, marks = KEYS[2 * i - 1], KEYS[2 * i]
  local user_id, written = ARGV[2 * i + 1], tonumber(ARGV[2 * i + 2])
  statuses[i] = clean(session, marks, user_id, written)[1]
end
return statuses
