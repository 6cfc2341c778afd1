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
--          5 written (bytes: the version that PostgreSQL has, packed); these two for each session, the last three for each bucket…
-- REPLY    clean
--          dirty (changed since)
--          gone (there is no session)
-- EFFECTS  session: now (dirty); where clean also PEXPIREAT and the mark; replies a word for each session
-- COST     TIME; a session: HGET, HSET, PEXPIREAT; a bucket: ZREM of all its marks that go

--@include calls
--@include formats
--@include expires_ms

local ttl_s, read_ms = ARGV[1], ARGV[2]

local expires = expires_ms(ttl_s)
local SAVED_IS_VERSION = string.rep('\0', REST - 9)

-- Where the session has moved on.
local function moved_on(session, now, marks, user_id, written)
  local version, dirty = struct_unpack('<dd', now)
  written = struct_unpack('<d', written)
  -- A version below the written one means that Redis lost its last seconds: its mark stays, and the next flush finds PostgreSQL ahead.
  if version < written or math.abs(dirty) > written or dirty == 0 then return end
  call('HSET', session, 'now', struct_pack('<dd', version, dirty > 0 and 1 + written or -1 - written) .. sub(now, REST))
  call('ZADD', marks, 'XX', 'GT', read_ms, user_id)
end

-- Marks that go are left in `going`.
local function clean(session, marks, user_id, written, going)
  local now = call('HGET', session, 'now')
  if not now then
    going[#going + 1] = user_id
    return { 'gone' }
  end
  if sub(now, 1, 8) == written then
    call('HSET', session, 'now', written .. SAVED_IS_VERSION .. sub(now, REST))
    call('PEXPIREAT', session, expires)
    going[#going + 1] = user_id
    return { 'clean' }
  end
  moved_on(session, now, marks, user_id, written)
  return { 'dirty' }
end

local statuses, key_at, at = {}, 1, 3
while key_at <= #KEYS do
  local marks, sessions, going = KEYS[key_at], tonumber(ARGV[at]), {}
  for i = 1, sessions do
    statuses[#statuses + 1] = clean(KEYS[key_at + i], marks, ARGV[at + 2 * i - 1], ARGV[at + 2 * i], going)[1]
  end
  if #going > 0 then call('ZREM', marks, unpack(going)) end
  key_at, at = key_at + sessions + 1, at + 2 * sessions + 1
end
return statuses
