-- How long after a request of a joined player the player counts as joined, at whichever process.
local PROMISE_MS = 300000

-- Promises a joined player with income that every second from now on counts in full, and lets processes compute them. With a minus
-- sign where the version is ahead of the clock: there the seconds count, and nobody computes, so that the next click need not leave
-- room. Not where a process asks, once a second at most (`asked`).
local function promise(s, now_ms, asked)
  if s.mPs == 0 and s.dPs == 0 then
    s.joined_until = 0
  elseif s.version > now_ms and not asked then
    s.joined_until = -(now_ms + PROMISE_MS)
  else
    s.joined_until = now_ms + PROMISE_MS
  end
end
