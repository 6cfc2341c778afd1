-- Pays passive income for the whole seconds since `accrued_at`: in the table only, whoever called decides whether to write it.
-- Twin of game/accrual.py.

-- Adds to the session: `moved` (there was income to pay), `paid` (1 when it changed anything), `seconds` (those that were paid, after
-- the cap; 0 when nothing changed), `away` (what a gap of 10 s or more earned: seconds, money, dishes, xp, seconds of the gap, stars).
local function accrue(s, now_ms, cap_s)
  s.moved, s.paid, s.seconds = false, 0, 0
  local gap_ms = now_ms - s.accrued_at
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

-- What is not yet shown: what was pending, and what this gap earned. Nil when there is neither.
local function pending(s)
  if not s.offline then s.offline = redis.call('HGET', s.key, 'offline') or '' end
  if s.offline == '' then return s.away end
  local sum = {}
  for number in string.gmatch(s.offline, '[^:]+') do
    sum[#sum + 1] = tonumber(number)
  end
  -- An older release wrote the first four: its gaps were not capped where they were kept.
  sum[5], sum[6] = sum[5] or sum[1], sum[6] or 0
  for i = 1, 6 do
    sum[i] = sum[i] + (s.away and s.away[i] or 0)
  end
  return sum
end

-- Puts what a long gap earned beside what is not yet shown.
local function keep_away(s)
  if not s.away then return end
  local sum = pending(s)
  s.offline = string.format('%.0f:%.17g:%.17g:%.17g:%.0f:%.17g', sum[1], sum[2], sum[3], sum[4], sum[5], sum[6])
  s.away, s.kept = nil, true
end

-- Fields to write with it: a long gap's income waits there for the next `session`.
local function with_offline(s, more)
  keep_away(s)
  if s.kept then
    more[#more + 1] = 'offline'
    more[#more + 1] = s.offline
  end
  return more
end
