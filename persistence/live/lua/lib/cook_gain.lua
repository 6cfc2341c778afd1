--@include ceiling
--@include multiplier

-- Dishes for one cook, from the sums of boosts. Twin of game/rates.py.
local function cook_gain(dPc, dM)
  return ceiling(1e4, 100 + dPc, multiplier(dM), 1, 1)
end
