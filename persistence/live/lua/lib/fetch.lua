-- Reads fields of the session by name: those of `texts` as text, absent ones as ''; those of `numbers` as numbers, absent ones as 0;
-- and a client's window when one is given.
local function fetch(client, texts, numbers)
  local names, many = texts, #texts
  for i, name in ipairs(numbers) do
    names[many + i] = name
  end
  if client ~= '' then names[#names + 1] = 'c:' .. client end
  local values = redis.call('HMGET', KEYS[1], unpack(names))
  local session = {}
  for i = 1, many do
    session[names[i]] = values[i] or ''
  end
  for i = 1, #numbers do
    session[numbers[i]] = tonumber(values[many + i] or 0)
  end
  if client ~= '' then session.window = values[#names] end
  return session
end
