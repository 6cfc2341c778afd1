-- 2^53: whole doubles below it are exact.
local EXACT = 9007199254740992
