#!lua flags=allow-oom
-- Takes back the marks of sessions that PostgreSQL has been given. A mark goes only where the session still has the version
-- that was written; where it has moved on, the mark counts from the moment of the read: what is unsaved is younger than that.
-- A mark without a session goes.
--
-- KEYS     1 marks (dirty:{b})
--          2 session; the same for each session of the bucket, then all of it for each bucket…
-- ARGV     1 ttl_s (integer)
--          2 read_ms (integer: the moment of the read)
--          3 sessions (integer: how many of the first bucket follow)
--          4 user_id (integer)
--          5 written (integer: the version that PostgreSQL has); these two for each session, the last three for each bucket…
-- REPLY    clean
--          dirty (changed since)
--          gone (there is no session)
-- EFFECTS  session: life (saved); where clean also now (dirty), EXPIRE and the mark; replies a word for each session
-- COST     a session: HMGET, HSET, EXPIRE; a bucket: ZREM of all its marks that go

--@include formats

local ttl_s, read_ms = ARGV[1], ARGV[2]

-- Marks that go are left in `going`.
local function clean(session, marks, user_id, written, going)
  local held = redis.call('HMGET', session, 'now', 'life')
  local now, life = held[1], held[2]
  if not now then
    going[#going + 1] = user_id
    return { 'gone' }
  end
  local version = struct.unpack('<d', now)
  local saved_life = string.sub(life, 1, SAVED - 1) .. struct.pack('<d', written) .. string.sub(life, JOINED)
  if version == written then
    redis.call('HSET', session, 'now', struct.pack('<dd', version, 0) .. string.sub(now, REST), 'life', saved_life)
    redis.call('EXPIRE', session, ttl_s)
    going[#going + 1] = user_id
    return { 'clean' }
  end
  -- A version below the written one means that Redis lost its last seconds: its mark stays, and the next flush finds PostgreSQL ahead.
  if version > written and struct.unpack('<d', life, SAVED) < written then
    redis.call('HSET', session, 'life', saved_life)
    redis.call('ZADD', marks, 'XX', 'GT', read_ms, user_id)
  end
  return { 'dirty' }
end

local statuses, key_at, at = {}, 1, 3
while key_at <= #KEYS do
  local marks, sessions, going = KEYS[key_at], tonumber(ARGV[at]), {}
  for i = 1, sessions do
    local user_id, written = ARGV[at + 2 * i - 1], tonumber(ARGV[at + 2 * i])
    statuses[#statuses + 1] = clean(KEYS[key_at + i], marks, user_id, written, going)[1]
  end
  if #going > 0 then redis.call('ZREM', marks, unpack(going)) end
  key_at, at = key_at + sessions + 1, at + 2 * sessions + 1
end
return statuses
