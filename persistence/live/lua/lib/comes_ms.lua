-- When golden guests come: one in each period of Redis' time, at a moment that differs between players and periods. Twin of
-- game/golden.py. SPREAD is a prime below 2^26: the square of a rest is exact in a double.
local EVERY_MS, STAYS_MS, SPREAD = 480000, 60000, 67108859

local function comes_ms(user_id, number)
  local mixed = (number % SPREAD * 1103 + user_id % SPREAD) % SPREAD
  return number * EVERY_MS + mixed * mixed % SPREAD % EVERY_MS
end
