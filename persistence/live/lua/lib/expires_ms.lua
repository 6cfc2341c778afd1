--@include now_us

-- The moment at which what is let go now expires, one text for all sessions of a call: EXPIRE writes a moment of its own for each to the
-- append-only file, and takes longer.
local function expires_ms(ttl_s)
  return string.format('%.0f', math.floor(now_us() / 1e3) + 1000 * ttl_s)
end
