-- Whole amounts in doubles: exact below 2^53, the nearest double beyond, at most 1e300. Twin of game/arithmetic.py.
local LIMIT, EXACT = 1e300, 9007199254740992
local floor, min, max = math.floor, math.min, math.max

local function saturated(amount)
  if amount > LIMIT then return LIMIT end
  return amount
end

