--@include product

-- a * b / divisor, rounded to the nearest whole number, a half upwards.
local function half_up(divisor, a, b)
  local q, r = product(divisor, a, b, 1, 1)
  if 2 * r >= divisor then return q + 1 end
  return q
end
