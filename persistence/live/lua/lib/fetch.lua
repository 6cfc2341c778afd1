--@include record

-- Reads the session of KEYS and ARGV, with the fields of `texts` as text ('' where absent) and a client's window when one is given.
local function fetch(client, texts)
  local names = { 'now', 'life', 'rates', 'stamp', unpack(texts) }
  if client ~= '' then names[#names + 1] = 'c:' .. client end
  local f = redis.call('HMGET', KEYS[1], unpack(names))
  local s = { key = KEYS[1], marks = KEYS[2], user_id = ARGV[2] }
  take(s, f[1], f[2], f[3], f[4])
  if s.version == 0 then return s end
  for i = 1, #texts do
    s[texts[i]] = f[4 + i] or ''
  end
  if client ~= '' then s.window = f[#names] end
  return s
end
