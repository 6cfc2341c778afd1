#!lua flags=allow-oom
-- Marks a family of tokens as revoked and tells every process to close its connections; safe to repeat.
--
-- KEYS     1 revoked:{b}:<family>
-- ARGV     1 ttl (integer, s: how long an access token lives)
--          2 channel (of the family's user)
--          3 message (the publication)
-- REPLY    revoked
-- SENDS    revoked, version (0), family
-- EFFECTS  the mark, for ttl; one publication
-- COST     SET, SPUBLISH

redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
redis.call('SPUBLISH', ARGV[2], ARGV[3])
return { 'revoked' }
