-- How many of `applied` clicks the rate limit lets pass: leaves that in `applied`, and the new tat. lib/draw.lua says what the limit is;
-- where all may pass, this comes to the same without calling a function. Takes interval_us and burst, tat and time_us.
local exact_us = interval_us * 4 + 0.5
exact_us = (exact_us - exact_us % 1) / 4
if exact_us > 0 then
  local debt_us = tat - time_us
  if debt_us < 0 then debt_us = 0 end
  debt_us = debt_us + applied * exact_us
  if debt_us <= burst * exact_us then
    tat = time_us + debt_us
  else
    --@include draw
    applied, tat = draw(applied, tat, time_us, interval_us, burst)
    if applied == 0 then return { 'rate_limited', tat } end
  end
end
