--@include keep_away

-- Fields to write with it: a long gap's income waits there for the next `session`.
local function with_offline(s, more)
  keep_away(s)
  if s.kept then
    more[#more + 1] = 'offline'
    more[#more + 1] = s.offline
  end
  return more
end
