#!lua flags=allow-oom
-- Removes a deleted account's session; safe to repeat. The claim of a load goes too: a load under way then writes nothing.
--
-- KEYS     1 session, 2 marks (dirty:{b}), 3 claim_key (load:{b})
-- ARGV     1 user_id (integer)
-- REPLY    deleted
--          gone (there was no session)
-- EFFECTS  session, mark and claim are gone
-- COST     ZREM, two DEL

local session, marks, claim_key = KEYS[1], KEYS[2], KEYS[3]
local user_id = ARGV[1]

redis.call('ZREM', marks, user_id)
redis.call('DEL', claim_key)
if redis.call('DEL', session) == 1 then return { 'deleted' } end
return { 'gone' }
