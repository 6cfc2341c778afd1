-- How amounts leave a script: a returned Lua number is cut to an integer, so what a double no longer holds exactly goes as text.
local function wire(amount)
  if amount < 9007199254740992 and amount > -9007199254740992 then return amount end
  return string.format('%.17g', amount)
end
