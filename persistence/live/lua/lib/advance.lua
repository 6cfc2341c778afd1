--@include next_version

-- Takes a session to its next version, past every push that can have been computed from the present one. Where that is ahead of the
-- clock, nobody computes from it: the next change needs no room.
local function advance(s, now_ms)
  s.version = next_version(s.version + s.reserved, now_ms)
  if s.joined_until > 0 and s.version > now_ms then s.joined_until = -s.joined_until end
end
