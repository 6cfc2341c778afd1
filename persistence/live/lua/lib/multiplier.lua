-- A multiplier that nothing owned raises is 1.
local function multiplier(hundredths)
  if hundredths > 0 then return hundredths end
  return 100
end
