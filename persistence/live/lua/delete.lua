#!lua flags=allow-oom
-- Removes a deleted account's session; safe to repeat. The claim of a load goes too: a load under way then writes nothing.
--
-- KEYS     1 session, 2 dirty:{b}, 3 load:{b} (the claim)
-- ARGV     1 user_id (integer)
-- REPLY    deleted
--          gone (there was no session)
-- EFFECTS  session, mark and claim are gone
-- COST     ZREM, two DEL

redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3])
if redis.call('DEL', KEYS[1]) == 1 then return { 'deleted' } end
return { 'gone' }
