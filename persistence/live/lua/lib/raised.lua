-- What was raised while one player of several was served, as the error reply of that player: an error of Redis begins with its word.
local function raised(fault)
  local text = string.gsub(tostring(fault), '[\r\n]', ' ')
  return { err = string.match(text, '^%u+ ') and text or 'ERR ' .. text }
end
