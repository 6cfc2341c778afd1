#!lua
-- Marks a player whose session may be on another node, since the slot is on its way.
--
-- KEYS     1 marks (dirty:{b})
-- ARGV     1 user_id (integer)
-- REPLY    (integer: 1 where there was no mark)
-- EFFECTS  the dirty mark
-- COST     TIME, ZADD

--@include now_us

local marks = KEYS[1]
local user_id = ARGV[1]

return redis.call('ZADD', marks, 'NX', math.floor(now_us() / 1e3), user_id)
