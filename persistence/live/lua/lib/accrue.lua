--@include math
--@include saturated
--@include half_up
--@include multiplier
--@include income
--@include promise

-- Pays passive income for the whole seconds since `accrued_at`: in the table only, the caller decides whether to write it.
-- Twin of game/accrual.py.

-- What so many seconds make of the amounts: money, dishes, xp, accumulated; then the money earned and the dishes cooked in a second.
local function after(s, seconds)
  local gain, left, sells, cooked = income(seconds, s.dishes, s)
  local xp = s.xp
  if s.need > 0 then xp = saturated(xp + sells * half_up(20, s.mPs, 1) + seconds * half_up(5, s.dPs, 1)) end
  local accumulated = saturated(s.accumulated + seconds * half_up(20000, s.mPs, multiplier(s.mpM)))
  return saturated(s.money + gain), left, xp, accumulated, gain, cooked
end

-- Adds to the session: `moved` (there was income to pay, or the clock ran back by more than 10 s), `paid` (1 when it changed
-- an amount, or set the time: who computes is to hear of it), `away` (where nobody was joined in some seconds, what these earned: seconds paid, money, dishes, xp, seconds, stars; a
-- second call adds to it). Up to `joined_until` every second counts, after it at most `cap_s`.
local function accrue(s, now_ms, cap_s)
  s.moved, s.paid = false, 0
  local gap_ms = now_ms - s.accrued_at
  if gap_ms < -10000 then
    -- The clock ran back: nobody waits for a wrong clock's future.
    s.accrued_at, s.moved = now_ms, s.mPs > 0 or s.dPs > 0
    if s.moved then s.paid = 1 end
    return
  end
  if gap_ms < 1000 then return end
  local gap_s, joined_ms = floor(gap_ms / 1000), math.abs(s.joined_until)
  if joined_ms > now_ms + PROMISE_MS + 10000 then joined_ms = 0 end
  local joined_s = min(gap_s, max(0, floor((joined_ms - s.accrued_at) / 1000)))
  local away_s = gap_s - joined_s
  -- The part of a second that is left over is kept; what the cap cuts off is not.
  s.accrued_at = now_ms - gap_ms % 1000
  if away_s > 0 then
    s.away = s.away or { 0, 0, 0, 0, 0, 0 }
    s.away[5] = s.away[5] + away_s
  end
  if s.mPs == 0 and s.dPs == 0 then return end
  local away_paid_s = min(away_s, cap_s)
  local seconds = joined_s + away_paid_s
  local money, dishes, xp, accumulated, gain, cooked = after(s, seconds)
  s.moved = true
  if money ~= s.money or dishes ~= s.dishes or xp ~= s.xp or accumulated ~= s.accumulated then
    s.paid = 1
    if away_s > 0 then
      local money_then, dishes_then, xp_then, accumulated_then = s.money, s.dishes, s.xp, s.accumulated
      if joined_s > 0 then
        money_then, dishes_then, xp_then, accumulated_then = after(s, joined_s)
      end
      local away = s.away
      away[1], away[2], away[3] = away[1] + away_paid_s, away[2] + (money - money_then), away[3] + (dishes - dishes_then)
      away[4], away[6] = away[4] + (xp - xp_then), away[6] + (accumulated - accumulated_then)
    end
  end
  s.money, s.dishes, s.xp, s.accumulated = money, dishes, xp, accumulated
  s.earned = saturated(s.earned + gain)
  s.cooked = saturated(s.cooked + seconds * cooked)
end
