--@include saturated
--@include cook_gain
--@include click_xp

-- Derives boosts and gains from what a session owns, its rank and its stars, into the table `rates`, which may be `s` itself.
-- `upgrades` and `levels` are texts as refresh.lua takes them. Twin of `rates_of` in game/rates.py.
local function derive(rates, s, upgrades, levels)
  local catalogue, owns_dish = {}, false
  for id, boost_type, value, is_dish in string.gmatch(upgrades, '(%d+):(%a+):(%d+):(%d)') do
    catalogue[id] = { boost_type, tonumber(value), is_dish == '1' }
  end
  for _, name in ipairs({ 'dPc', 'mPc', 'sPs', 'dPs', 'mPs', 'dM', 'mM', 'dpM', 'mpM' }) do
    rates[name] = 0
  end
  for id, times_bought in string.gmatch(s.bought, '(%d+):(%d+)') do
    local upgrade = catalogue[id]
    if upgrade then
      rates[upgrade[1]] = saturated(rates[upgrade[1]] + upgrade[2] * tonumber(times_bought))
      owns_dish = owns_dish or upgrade[3]
    end
  end
  local rank = 0
  rates.need, rates.first_need = 0, 0
  for xp in string.gmatch(levels, '%d+') do
    rank = rank + 1
    if rank == 1 then rates.first_need = tonumber(xp) end
    if rank == s.rank + 1 then rates.need = tonumber(xp) end
  end
  rates.click_xp = click_xp(s.stars, rates.need)
  rates.cook_gain = owns_dish and cook_gain(rates.dPc, rates.dM) or 0
end
