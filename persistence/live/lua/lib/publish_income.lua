-- Tells the user's other connections what passive income left, when there are any.
local function publish_income(s, channel, own, origin)
  if redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > tonumber(own) then
    local words = '%s passive %.0f %.17g %.17g %.17g %.17g %.17g'
    redis.call('SPUBLISH', channel, string.format(words, origin, s.version, s.money, s.dishes, s.rank, s.xp, s.accumulated))
  end
end
