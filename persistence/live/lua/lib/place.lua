--@include window_of

-- 'new' and the window once `seq` is applied with `used_version`, 'applied', or 'old' and the highest number.
local function place(field, seq, used_version)
  local highest, hi, lo = window_of(field, used_version)
  if seq == highest + 1 then
    -- The usual case, in few steps.
    hi, lo = hi * 2, lo * 2 + 1
    if lo >= WORD then hi, lo = hi + 1, lo - WORD end
    if hi >= WORD then hi = hi - WORD end
    return 'new', struct.pack(WINDOW, seq, hi, lo, used_version)
  end
  local back = highest - seq
  if back >= 64 then return 'old', highest end
  if back >= 0 then
    local word, bit = lo, 2 ^ back
    if back >= 32 then word, bit = hi, 2 ^ (back - 32) end
    if math.floor(word / bit) % 2 == 1 then return 'applied' end
    if back >= 32 then hi = hi + bit else lo = lo + bit end
  else
    local shift = -back
    if shift >= 64 then
      hi, lo = 0, 0
    elseif shift >= 32 then
      hi, lo = lo * 2 ^ (shift - 32) % WORD, 0
    else
      local moved = lo * 2 ^ shift
      hi, lo = hi * 2 ^ shift % WORD + math.floor(moved / WORD), moved % WORD
    end
    highest, lo = seq, lo + 1
  end
  return 'new', struct.pack(WINDOW, highest, hi, lo, used_version)
end
