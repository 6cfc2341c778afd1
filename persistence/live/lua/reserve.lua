#!lua
-- Makes the key of a session that is not here, for a load while the slot is on its way: a script with several keys is executed
-- only where each of them exists. What has no `now` is no session; the key goes by itself.
--
-- KEYS     1 session
-- ARGV     1 ttl_ms (integer)
-- REPLY    (integer: 1 where it was made)
-- EFFECTS  the session's key, with one field, PEXPIRE
-- COST     EXISTS, HSET, PEXPIRE

local session = KEYS[1]
local ttl_ms = ARGV[1]

if redis.call('EXISTS', session) == 1 then return 0 end
redis.call('HSET', session, 'reserved', 1)
redis.call('PEXPIRE', session, ttl_ms)
return 1
