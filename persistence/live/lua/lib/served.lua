--@include raised

-- Clicks for each player of a call, who has two keys, and behind the `shared` arguments these: user_id, channel, own, and then count,
-- client, seq, or nothing more where all of them click once without a client. Returns the replies of `click`, each player's own.
local function served(click, keys, arguments, shared)
  local players, channels = #keys / 2, {}
  local width = (#arguments - shared) / players
  for i = 1, players do
    channels[i] = arguments[shared + width * (i - 1) + 2]
  end
  local subscribers = redis.call('PUBSUB', 'SHARDNUMSUB', unpack(channels))
  local replies = {}
  for i = 1, players do
    local user_id, channel, own, count, client, seq = unpack(arguments, shared + width * (i - 1) + 1, shared + width * i)
    local session, marks, heard = keys[2 * i - 1], keys[2 * i], subscribers[2 * i]
    local well, reply = pcall(click, session, marks, user_id, channel, heard, own, count or '1', client or '', seq)
    replies[i] = well and reply or raised(reply)
  end
  return replies
end
