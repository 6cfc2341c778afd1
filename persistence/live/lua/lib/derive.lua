-- What follows from the persistent fields and the sums of boosts. Twin of game/rates.py; needs product.

-- Dishes for one cook.
local function cook_gain(dPc, dM)
  return ceiling(1e4, 100 + dPc, multiplier(dM), 1, 1)
end

-- Hundredths of xp for one cook or sell; the last rank (no `need`) gathers none.
local function click_xp(stars, need)
  if need == 0 then return 0 end
  return 100 + half_up(2000, stars, 1)
end
