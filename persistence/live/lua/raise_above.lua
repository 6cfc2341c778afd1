#!lua flags=allow-oom
-- Sees to it that a session takes no version again that a connection was sent before, where Redis may have lost changes: the session
-- is suspected, so before its next use it is compared with PostgreSQL, and `refresh` raises it above the version. One that is ahead of
-- it stays as it is. Where there is no session the version waits for a load. Safe to repeat.
--
-- KEYS     1 session
-- ARGV     1 version (integer: the highest that a connection of the caller was sent)
--          2 kept_ms (integer: how long it waits, at least)
-- REPLY    ahead (of the version)
--          suspected
--          missing (there is no session)
-- EFFECTS  session: floor, with PEXPIRE where it would leave Redis earlier, and the run of its stamp; or floor alone, with PEXPIRE.
--          No version: the state of the game is the same
-- COST     HMGET, HSET, PEXPIRE

--@include formats

local session = KEYS[1]
local version, kept_ms = ARGV[1], ARGV[2]

local held = redis.call('HMGET', session, 'now', 'rates', 'floor')
local now, rates, floor = held[1], held[2], held[3]
if now and struct.unpack('<d', now) > tonumber(version) then return { 'ahead' } end
if not floor or tonumber(floor) < tonumber(version) then redis.call('HSET', session, 'floor', version) end
if not now then
  redis.call('PEXPIRE', session, kept_ms)
  return { 'missing' }
end
-- A clean session may be about to leave Redis: the version would go with it, and the next load know nothing of it.
redis.call('PEXPIRE', session, kept_ms, 'GT')
if rates then
  -- A run that no Redis is.
  local generation = string.match(string.sub(rates, STAMP), '^%d*')
  redis.call('HSET', session, 'rates', string.sub(rates, 1, STAMP - 1) .. generation .. '.?')
end
return { 'suspected' }
