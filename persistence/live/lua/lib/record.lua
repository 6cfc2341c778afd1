-- Reads and writes a session as a table.

--@include formats

-- Reads the session: its numbers by name, `stamp` and the fields of `texts` as text ('' where absent), a client's window when
-- one is given. Without a session `version` is 0. Where the call is for many, `key`, `marks` and `user_id` say whose it is.
local function fetch(client, texts, key, marks, user_id)
  key = key or KEYS[1]
  local names = { 'now', 'life', 'rates', 'stamp', unpack(texts) }
  if client ~= '' then names[#names + 1] = 'c:' .. client end
  local f = redis.call('HMGET', key, unpack(names))
  local s = { version = 0, stamp = f[4] or '', key = key, marks = marks or KEYS[2], user_id = user_id or ARGV[2] }
  if not f[1] then return s end
  s.version, s.dirty, s.dishes, s.money, s.xp, s.clicks, s.cooked, s.earned, s.tat = struct.unpack(NOW, f[1])
  s.boost, s.accrued_at, s.accumulated, s.rank, s.stars, s.purchases, s.resets, s.saved, s.saved_at = struct.unpack(LIFE, f[2])
  if f[3] then
    s.cook_gain, s.click_xp, s.mPc, s.mM, s.sPs, s.dPc, s.dM, s.mPs, s.dPs, s.mpM, s.dpM, s.need, s.first_need =
      struct.unpack(RATES, f[3])
  end
  for i = 1, #texts do
    s[texts[i]] = f[4 + i] or ''
  end
  if client ~= '' then s.window = f[#names] end
  return s
end

local function packed_rates(s)
  return struct.pack(RATES, s.cook_gain, s.click_xp, s.mPc, s.mM, s.sPs, s.dPc, s.dM, s.mPs, s.dPs, s.mpM, s.dpM, s.need, s.first_need)
end

-- Writes the numbers that are not derived, and the fields of `more` (name, value, …).
local function store(s, more)
  redis.call('HSET', s.key,
    'now', struct.pack(NOW, s.version, s.dirty, s.dishes, s.money, s.xp, s.clicks, s.cooked, s.earned, s.tat),
    'life', struct.pack(LIFE, s.boost, s.accrued_at, s.accumulated, s.rank, s.stars, s.purchases, s.resets, s.saved, s.saved_at),
    unpack(more))
end
