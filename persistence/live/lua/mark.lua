#!lua flags=allow-oom
-- Marks a session as unsaved, so that it is written to PostgreSQL again.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 user_id (integer)
--          2 raised (integer, a version: while the session has it, it is raised, so that the fence lets the same state through; 0: never)
-- REPLY    marked
--          gone (there is no session)
-- EFFECTS  the dirty mark, the session's now (version, dirty: PostgreSQL counts as having nothing), PERSIST
-- COST     HMGET, ZADD, HSET, PERSIST

--@include formats
--@include now_us
--@include next_version
--@include math

local session, marks = KEYS[1], KEYS[2]
local user_id, raised = ARGV[1], ARGV[2]

local held = redis.call('HMGET', session, 'now', 'life')
local now, life = held[1], held[2]
if not now then return { 'gone' } end
local now_ms = math.floor(now_us() / 1e3)
local version = struct.unpack('<d', now)
if version == tonumber(raised) then
  local accrued_at = struct.unpack('<d', life, ACCRUED)
  local joined_until = struct.unpack('<d', life, JOINED)
  -- With the room that lib/take.lua reserves.
  version = next_version(version + max(0, floor((joined_until - accrued_at) / 1000)), now_ms)
end
redis.call('ZADD', marks, 'NX', string.format('%.0f', now_ms), user_id)
redis.call('HSET', session, 'now', struct.pack('<dd', version, 1) .. string.sub(now, REST))
redis.call('PERSIST', session)
return { 'marked' }
