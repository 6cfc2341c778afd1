--@include math
--@include saturated
--@include ceiling
--@include multiplier

-- Passive income of many seconds at once. Twin of game/idle.py, which says why it is exact.
local SETTLING_RUNS, CYCLE_RUNS = 4, 3

-- At most so many runs of equal seconds (waiting, one sell of all there is, or full sells), fewer when no seconds are left or there
-- are `stop` dishes again. Returns seconds left, dishes, money, number of sells.
local function runs(most, stop, s, cooked, left, dishes, money, sells)
  local portion = 1 + floor(s.sPs / 100)
  local full = max(3, portion)
  local multiplied, factor = multiplier(s.mpM), s.boost > 0 and s.boost or 10
  for _ = 1, most do
    if left == 0 then break end
    local sold, lasts = 0, left
    if dishes >= full then
      sold = portion
      if cooked < portion then lasts = min(left, floor((dishes - full) / (portion - cooked)) + 1) end
    elseif dishes >= 3 then
      sold, lasts = dishes, 1
    elseif cooked > 0 then
      lasts = min(left, math.ceil((3 - dishes) / cooked))
    end
    if sold > 0 then
      money = saturated(money + lasts * ceiling(1e5, s.mPs, multiplied, factor, sold))
      sells = sells + lasts
    end
    dishes = saturated(max(0, dishes + lasts * (cooked - sold)))
    left = left - lasts
    if dishes == stop then break end
  end
  return left, dishes, money, sells
end

-- The sum over `seconds` from `dishes` on: money, dishes left, number of sells, dishes cooked in a second.
local function income(seconds, dishes, s)
  local cooked = s.dPs > 0 and ceiling(1e4, s.dPs, multiplier(s.dpM), 1, 1) or 0
  if s.mPs == 0 then return 0, saturated(dishes + seconds * cooked), 0, cooked end
  local left, money, sells
  left, dishes, money, sells = runs(SETTLING_RUNS, nil, s, cooked, seconds, dishes, 0, 0)
  if left == 0 then return money, dishes, sells, cooked end
  -- A cycle's money is counted from 0: a difference of large sums has lost digits, and would be multiplied.
  local settled, sells_before, left_before = money, sells, left
  left, dishes, money, sells = runs(CYCLE_RUNS, dishes, s, cooked, left, dishes, 0, sells)
  if left > 0 then
    local period = left_before - left
    local cycles = floor(left / period)
    money = saturated(money + cycles * money)
    sells = sells + cycles * (sells - sells_before)
    left, dishes, money, sells = runs(CYCLE_RUNS, nil, s, cooked, left - cycles * period, dishes, money, sells)
  end
  return saturated(settled + money), dishes, sells, cooked
end
