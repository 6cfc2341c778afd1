--@include half_up

-- Hundredths of xp for one cook or sell; the last rank (no `need`) gathers none. Twin of game/rates.py.
local function click_xp(stars, need)
  if need == 0 then return 0 end
  return 100 + half_up(2000, stars, 1)
end
