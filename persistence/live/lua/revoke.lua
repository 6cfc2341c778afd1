#!lua flags=allow-oom
-- Marks a family of tokens as revoked and tells every process to close its connections; safe to repeat.
--
-- KEYS     1 revoked (revoked:{b}:<family>)
-- ARGV     1 ttl_s (integer: how long an access token lives)
--          2 channel (text: of the family's user)
--          3 message (text: the publication)
-- REPLY    revoked
-- SENDS    revoked, version (0), family
-- EFFECTS  the mark, for ttl; one publication
-- COST     SET, SPUBLISH

local revoked = KEYS[1]
local ttl_s, channel, message = ARGV[1], ARGV[2], ARGV[3]

redis.call('SET', revoked, '1', 'EX', ttl_s)
redis.call('SPUBLISH', channel, message)
return { 'revoked' }
