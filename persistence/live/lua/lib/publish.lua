--@include tell

-- Tells the user's other connections, when there are any: SHARDNUMSUB counts this node's subscribers.
local function publish(channel, own, ...)
  if redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > tonumber(own) then tell(channel, ...) end
end
