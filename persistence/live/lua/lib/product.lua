--@include math
--@include saturated
--@include exact

-- Products of whole factors, exact where a double can hold their quotient. Twin of game/arithmetic.py.
-- One more factor onto q * divisor + r. Once q fills a double, r is below its last digit.
local function times(divisor, q, r, factor)
  if q >= EXACT then return saturated(q * factor), 0 end
  local low = r * factor
  local carry = floor(low / divisor)
  return saturated(q * factor + carry), low - carry * divisor
end

-- a * b * c * d as q * divisor + r. Exact while q stays below 2^53, for divisors to 1e5: with the largest
-- factor first, a second one of 9e10 or more takes q past 2^53, so r * factor is exact wherever q is.
local function product(divisor, a, b, c, d)
  local whole = a * b * c * d
  if whole < EXACT then
    local q = floor(whole / divisor)
    return q, whole - q * divisor
  end
  if b > a then a, b = b, a end
  if c > a then a, c = c, a end
  if d > a then a, d = d, a end
  local q = floor(a / divisor)
  local r = a - q * divisor
  q, r = times(divisor, q, r, b)
  q, r = times(divisor, q, r, c)
  return times(divisor, q, r, d)
end
