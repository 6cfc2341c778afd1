#!lua flags=allow-oom
-- Renews a flusher's leases, gives back what is above its share and takes free ones up to it.
--
-- KEYS     1 lease; the same for each lease…
-- ARGV     1 owner (text)
--          2 ttl_ms (integer)
--          3 share (integer: how many of these the owner may hold; 0 gives all back)
-- REPLY    (0 or 1 for each lease: whether the owner holds it now)
-- EFFECTS  the leases, which run out by themselves
-- COST     a lease: GET and SET, PEXPIRE, DEL or PTTL

local owner, ttl_ms, share = ARGV[1], ARGV[2], tonumber(ARGV[3])

local held, taken, free = {}, 0, {}
for i, lease in ipairs(KEYS) do
  local holder = redis.call('GET', lease)
  held[i] = 0
  if holder == owner and taken < share then
    redis.call('PEXPIRE', lease, ttl_ms)
    held[i] = 1
    taken = taken + 1
  elseif holder == owner then
    redis.call('DEL', lease)
  elseif not holder or redis.call('PTTL', lease) > tonumber(ttl_ms) then
    -- Free, or due later than any lease: of a clock that ran back.
    free[#free + 1] = i
  end
end
for _, i in ipairs(free) do
  if taken >= share then break end
  redis.call('SET', KEYS[i], owner, 'PX', ttl_ms)
  held[i] = 1
  taken = taken + 1
end
return held
