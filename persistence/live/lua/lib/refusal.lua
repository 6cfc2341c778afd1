-- A session that is not here, or whose derived fields hold under another stamp than the caller's.
local function refusal(s, stamp)
  if s.version == 0 then return { 'missing' } end
  if s.stamp ~= stamp then return { 'stale', s.stamp } end
end
