-- Writes `life` as it is, beside a change of `now` alone: where a session had no mark, the append-only file and the replicas may
-- lack what ticks changed in it (lib/pay.lua).
local function log_life(key)
  local life = redis.call('HGET', key, 'life')
  if life then redis.call('HSET', key, 'life', life) end
end
