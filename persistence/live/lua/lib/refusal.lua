-- A session that is not here, or whose derived fields hold under another stamp than the caller's.
local function refusal(session)
  if session.version == 0 then return { 'missing' } end
  if session.stamp ~= ARGV[1] then return { 'stale', session.stamp } end
end
