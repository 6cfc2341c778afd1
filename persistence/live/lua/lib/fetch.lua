--@include take

-- Reads a session, with the texts bought, achieved and email, `offline` ('' where absent), and a client's window when one is
-- given. `marks` and `user_id` go with it, for the script that writes it.
local function fetch(key, marks, user_id, client)
  local f
  if client == '' then
    f = redis.call('HMGET', key, 'now', 'life', 'rates', 'texts', 'offline')
  else
    f = redis.call('HMGET', key, 'now', 'life', 'rates', 'texts', 'offline', 'c:' .. client)
  end
  local now, life, rates, texts, offline, window = f[1], f[2], f[3], f[4], f[5], f[6]
  local s = { key = key, marks = marks, user_id = user_id, offline = offline or '', window = window }
  take(s, now, life, rates)
  s.bought, s.achieved, s.email = string.match(texts or ';;', '^([^;]*);([^;]*);(.*)$')
  return s
end
