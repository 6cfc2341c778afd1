-- Tells the user's other connections, when there are any: SHARDNUMSUB counts this node's subscribers.
local function publish(channel, own, origin, kind, version, ...)
  if redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] <= tonumber(own) then return end
  local words = { origin, kind, string.format('%.0f', version) }
  for _, word in ipairs({ ... }) do
    words[#words + 1] = type(word) == 'number' and string.format('%.17g', word) or word
  end
  redis.call('SPUBLISH', channel, table.concat(words, ' '))
end
