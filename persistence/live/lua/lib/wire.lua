--@include exact

-- How amounts leave a script: a returned Lua number is cut to an integer, so what a double no longer holds exactly goes as text.
local function wire(amount)
  if amount < EXACT and amount > -EXACT then return amount end
  return string.format('%.17g', amount)
end
