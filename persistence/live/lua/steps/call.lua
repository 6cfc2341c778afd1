-- What a call for several players reads once. Each has two of `keys`, and of `arguments`, behind those that all share, channel, own,
-- count, client, seq, or channel alone where all of them click once without a client, and the caller has a subscription to each.
local players, subscribers, replies, served = #keys / 2, {}, {}, 0
local width = (#arguments - shared) / players
for i = 1, players do
  subscribers[i] = arguments[shared + width * (i - 1) + 1]
end
subscribers = redis.call('PUBSUB', 'SHARDNUMSUB', unpack(subscribers))
