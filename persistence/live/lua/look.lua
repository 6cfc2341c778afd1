#!lua flags=no-writes
-- Reads a session as it is at one moment, with its mark and its time to live.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 user_id (integer)
-- REPLY    ok, fields (name, value, …; none: there is no session), mark (text in ms; empty: none), ttl (ms; -1: for ever, -2: no session)
--          unreadable, reason
-- EFFECTS  none
-- COST     HGETALL, ZSCORE, PTTL

local session, marks = KEYS[1], KEYS[2]
local user_id = ARGV[1]

local fields = redis.pcall('HGETALL', session)
if fields.err then return { 'unreadable', fields.err } end
return { 'ok', fields, redis.call('ZSCORE', marks, user_id) or '', redis.call('PTTL', session) }
