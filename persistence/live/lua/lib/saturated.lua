-- Whole amounts in doubles: exact below 2^53, the nearest double beyond, at most 1e300. Twin of game/arithmetic.py.
local LIMIT = 1e300

local function saturated(amount)
  if amount > LIMIT then return LIMIT end
  return amount
end
