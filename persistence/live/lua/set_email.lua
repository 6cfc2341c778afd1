#!lua
-- Shows another e-mail in a session; safe to repeat. The claim of a load goes too: a load under way read the one before, and reads
-- again.
--
-- KEYS     1 session, 2 claim_key (load:{b})
-- ARGV     1 email (text)
-- REPLY    changed
--          gone (there is no session: a load reads the e-mail)
-- EFFECTS  session: the last of its texts; the claim is gone. No version: the state of the game is the same
-- COST     DEL, HGET, HSET

--@include joined_texts

local session, claim_key = KEYS[1], KEYS[2]
local email = ARGV[1]

redis.call('DEL', claim_key)
local texts = redis.call('HGET', session, 'texts')
if not texts then return { 'gone' } end
local bought, achieved = string.match(texts, '^([^;]*);([^;]*);')
redis.call('HSET', session, 'texts', joined_texts({ bought = bought, achieved = achieved, email = email }))
return { 'changed' }
