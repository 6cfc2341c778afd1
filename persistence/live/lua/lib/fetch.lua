--@include record

-- Reads the session of KEYS and ARGV, with the texts bought, achieved and email, `offline` ('' where absent), and a client's window
-- when one is given.
local function fetch(client)
  local f
  if client == '' then
    f = redis.call('HMGET', KEYS[1], 'now', 'life', 'rates', 'texts', 'offline')
  else
    f = redis.call('HMGET', KEYS[1], 'now', 'life', 'rates', 'texts', 'offline', 'c:' .. client)
  end
  local s = { key = KEYS[1], marks = KEYS[2], user_id = ARGV[2], offline = f[5] or '', window = f[6] }
  take(s, f[1], f[2], f[3])
  s.bought, s.achieved, s.email = string.match(f[4] or ';;', '^([^;]*);([^;]*);(.*)$')
  return s
end

-- The field `texts`.
local function joined_texts(s)
  return s.bought .. ';' .. s.achieved .. ';' .. s.email
end
