-- The field `texts`.
local function joined_texts(s)
  return s.bought .. ';' .. s.achieved .. ';' .. s.email
end
