--@include product

-- a * b * c * d / divisor, rounded up.
local function ceiling(divisor, a, b, c, d)
  local q, r = a * b * c * d
  if q < EXACT then
    r = q % divisor
    q = (q - r) / divisor
  else
    q, r = product(divisor, a, b, c, d)
  end
  if r > 0 then return q + 1 end
  return q
end
