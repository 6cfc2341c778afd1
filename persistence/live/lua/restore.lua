#!lua
-- Writes saved sessions into Redis where there is nothing of their players: what a restore does for nearly all of them. Where
-- something is, lua/load.lua decides.
--
-- KEYS     1 session; the same for each session…
-- ARGV     1 ttl_s (integer)
--          2 packed (bytes: the hash as PackedHash of persistence/durable/copied.py has it); the same for each session…
-- REPLY    loaded
--          exists (as new or newer)
--          behind (an older session, or a floor without one: nothing was done)
-- EFFECTS  session with PEXPIREAT; replies a word for each session
-- COST     TIME, EXISTS for all; a session: EXISTS unless all are missing, HSET of some 5 fields, PEXPIREAT

--@include expires_ms

local ttl_s = ARGV[1]
local expires = expires_ms(ttl_s)
local all_missing = redis.call('EXISTS', unpack(KEYS)) == 0
-- Of the session that is being written: name, value, …
local words = { 'now', '', 'life', '', 'texts', '' }

local function restore(session, packed)
  local now, life, texts, rates, more, at = struct.unpack('<I4c0I4c0>I4c0I4c0I2', packed)
  if all_missing or redis.call('EXISTS', session) == 0 then
    words[2], words[4], words[6] = now, life, texts
    local last = 6
    if rates ~= '' then
      words[7], words[8], last = 'rates', rates, 8
    end
    for _ = 1, more do
      words[last + 1], words[last + 2], at = struct.unpack('>I4c0I4c0', packed, at)
      last = last + 2
    end
    redis.call('HSET', session, unpack(words, 1, last))
    redis.call('PEXPIREAT', session, expires)
    return { 'loaded' }
  end
  local held = redis.call('HGET', session, 'now')
  if held and struct.unpack('<d', held) >= struct.unpack('<d', now) then return { 'exists' } end
  return { 'behind' }
end

local statuses = {}
for i, session in ipairs(KEYS) do
  statuses[i] = restore(session, ARGV[i + 1])[1]
end
return statuses
