--@include formats

-- Writes the numbers that are not derived, and the fields of `more` (name, value, …).
local function store(s, more)
  redis.call('HSET', s.key,
    'now', struct.pack(NOW, s.version, s.dirty, s.dishes, s.money, s.xp, s.clicks, s.cooked, s.earned, s.tat),
    'life', struct.pack(LIFE, s.boost, s.accrued_at, s.accumulated, s.rank, s.stars, s.purchases, s.resets, 0, s.joined_until),
    unpack(more))
end
