--@include publish

-- Tells the user's other connections what passive income left.
local function publish_income(s, channel, own, origin)
  publish(channel, own, origin, 'passive', s.version, s.money, s.dishes, s.rank, s.xp, s.accumulated)
end
