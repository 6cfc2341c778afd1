-- The rate limit, a GCRA: `tat` is the moment (µs) at which the bucket will be full again. Intervals are taken to the nearest
-- quarter µs: their sums with the time are then exact (until 2041), so a full bucket holds `burst` clicks and not one less.
-- Returns how many of `wanted` clicks may pass and the new tat, or 0 and the ms until one may.
local function draw(wanted, tat, now_us, interval_us, burst)
  interval_us = math.floor(interval_us * 4 + 0.5) / 4
  local size = burst * interval_us
  local debt = math.max(tat - now_us, 0)
  -- Further ahead than a debt can be: the clock ran back or the limit was lowered. One click sets it right.
  if debt > size then debt = size - interval_us end
  local passed = math.min(wanted, math.floor((size - debt) / interval_us))
  if passed < 1 then return 0, math.max(math.ceil((debt + interval_us - size) / 1000), 1) end
  return passed, now_us + debt + passed * interval_us
end
