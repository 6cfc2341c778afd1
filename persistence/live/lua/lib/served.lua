--@include raised

-- Clicks for each player of a call, who has two keys and six arguments behind the `shared` ones: user_id, channel, own, count,
-- client, seq. Returns the replies of `click`, each player's own.
local function served(click, keys, arguments, shared)
  local players, channels = #keys / 2, {}
  for i = 1, players do
    channels[i] = arguments[shared + 6 * i - 4]
  end
  local subscribers = redis.call('PUBSUB', 'SHARDNUMSUB', unpack(channels))
  local replies = {}
  for i = 1, players do
    local user_id, channel, own, count, client, seq = unpack(arguments, shared + 6 * i - 5, shared + 6 * i)
    local session, marks, heard = keys[2 * i - 1], keys[2 * i], subscribers[2 * i]
    local well, reply = pcall(click, session, marks, user_id, channel, heard, own, count, client, seq)
    replies[i] = well and reply or raised(reply)
  end
  return replies
end
