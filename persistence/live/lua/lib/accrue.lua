--@include math
--@include saturated
--@include half_up
--@include multiplier
--@include income

-- Pays passive income for the whole seconds since `accrued_at`: in the table only, the caller decides whether to write it.
-- Twin of game/accrual.py.

-- Adds to the session: `moved` (there was income to pay, or the clock ran back by more than 10 s), `paid` (1 when it changed anything), `seconds` (those that were paid, after
-- the cap; 0 when nothing changed), `away` (what a gap of 10 s or more earned: seconds, money, dishes, xp, seconds of the gap, stars).
local function accrue(s, now_ms, cap_s)
  s.moved, s.paid, s.seconds = false, 0, 0
  local gap_ms = now_ms - s.accrued_at
  if gap_ms < -10000 then
    -- The clock ran back: nobody waits for a wrong clock's future.
    s.accrued_at, s.moved = now_ms, s.mPs > 0 or s.dPs > 0
    return
  end
  if gap_ms < 1000 then return end
  local gap_s = floor(gap_ms / 1000)
  local seconds = min(gap_s, cap_s)
  -- The part of a second that is left over is kept; what the cap cuts off is not.
  s.accrued_at = now_ms - gap_ms % 1000
  if s.mPs == 0 and s.dPs == 0 then return end
  local money, dishes, xp, accumulated = s.money, s.dishes, s.xp, s.accumulated
  local gain, left, sells, cooked = income(seconds, dishes, s)
  s.moved = true
  s.money = saturated(money + gain)
  s.earned = saturated(s.earned + gain)
  s.dishes = left
  s.cooked = saturated(s.cooked + seconds * cooked)
  s.accumulated = saturated(accumulated + seconds * half_up(20000, s.mPs, multiplier(s.mpM)))
  if s.need > 0 then s.xp = saturated(xp + sells * half_up(20, s.mPs, 1) + seconds * half_up(5, s.dPs, 1)) end
  if s.money == money and left == dishes and s.xp == xp and s.accumulated == accumulated then return end
  s.paid, s.seconds = 1, seconds
  if gap_s >= 10 then
    s.away = { seconds, s.money - money, left - dishes, s.xp - xp, gap_s, s.accumulated - accumulated }
  end
end
