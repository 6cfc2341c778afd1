--@include product

-- a * b * c * d / divisor, rounded up.
local function ceiling(divisor, a, b, c, d)
  local q, r = product(divisor, a, b, c, d)
  if r > 0 then return q + 1 end
  return q
end
