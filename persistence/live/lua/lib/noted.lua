-- What a gap earned, where it is to be shown: nil where the player was away for less than 10 s, or earned nothing.
local function noted(s)
  local away = s.away
  if away and (away[5] < 10 or away[2] == 0 and away[3] == 0 and away[4] == 0 and away[6] == 0) then s.away = nil end
  return s.away
end
