-- One more than before, or Redis' time where that is ahead: stays ahead even after Redis lost its last seconds.
local function next_version(version, now_ms)
  return math.max(version + 1, now_ms)
end
