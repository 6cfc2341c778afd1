#!lua flags=allow-oom
-- Marks a session as unsaved, so that it is written to PostgreSQL again.
--
-- KEYS     1 session, 2 dirty:{b}
-- ARGV     1 user_id (integer)
--          2 version (integer: while the session has it, it is raised, so that the fence lets the same state through; 0: never)
-- REPLY    marked
--          gone (there is no session)
-- EFFECTS  the dirty mark, the session's now (version, dirty), PERSIST; saved is 0 again
-- COST     HMGET, ZADD, HSET, PERSIST

--@include formats

local held = redis.call('HMGET', KEYS[1], 'now', 'life')
if not held[1] then return { 'gone' } end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local version = struct.unpack('<d', held[1])
if version == tonumber(ARGV[2]) then version = math.max(version + 1, now_ms) end
redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', now_ms), ARGV[1])
redis.call('HSET', KEYS[1], 'now', struct.pack('<dd', version, 1) .. string.sub(held[1], REST),
  'life', string.sub(held[2], 1, SAVED - 1) .. struct.pack('<d', 0) .. string.sub(held[2], SAVED + 8))
redis.call('PERSIST', KEYS[1])
return { 'marked' }
