-- Buys one upgrade, with passive income paid first at the old rates.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline_cap_s (integer)
--          7 client (text; empty: none)
--          8 seq (integer; any text without a client)
--          9 id (integer: the upgrade)
--          10 base_price (number, money)
--          11 price_factor (number)
--          12 access_level (integer, rank)
--          13 is_dish (0 or 1: a dish is bought only once)
--          14 boost_type (text)
--          15 boost_value (integer, hundredths)
-- REPLY    ok, version, money, xp, id, times_bought, passive
--          duplicate, version, money, xp, id, times_bought, passive
--          missing
--          stale, stamp
--          seq_too_old, highest
--          upgrade_not_found
--          upgrade_locked, level
--          not_enough_money, have, need
-- SENDS    upgrade_buy, version, money, xp, id, times_bought, passive
-- EFFECTS  session: version, what accruing changes, bought, purchases, the sum of the boost, cook_gain, c:<client>, dirty;
--          the dirty mark; publishes `upgrade_buy`
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB; O(times_bought) for the price, at most 100,000 steps

--@include math
--@include now_us
--@include next_version
--@include saturated
--@include half_up
--@include wire
--@include cook_gain
--@include fetch
--@include joined_texts
--@include packed_rates
--@include refusal
--@include accrue
--@include with_offline
--@include with_window
--@include write
--@include publish

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, offline_cap_s, client, seq, id, base_price, price_factor, access_level, is_dish,
  boost_type, boost_value =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14], ARGV[15]

-- What one more costs. More than anyone can have where the power passes what doubles hold, or is too long to compute.
local UNAFFORDABLE, LONGEST_POWER = 1e301, 100000
local function price_of(base, factor, times_bought)
  local power = 1
  if factor ~= 1 then
    if times_bought > LONGEST_POWER then return UNAFFORDABLE end
    for _ = 1, times_bought do
      power = power * factor
      if power > LIMIT then return UNAFFORDABLE end
    end
  end
  local exact = base * power
  local whole = floor(exact)
  if exact - whole >= 0.5 then whole = whole + 1 end
  return min(whole, UNAFFORDABLE)
end

local s = fetch(session, marks, user_id, client)
local refused = refusal(s, stamp)
if refused then return refused end

local time_us = now_us()
local now_ms = floor(time_us / 1e3)
local owned = s.bought ~= '' and ',' .. s.bought or ''
local times_bought = tonumber(string.match(owned, ',' .. id .. ':(%d+)')) or 0
local placed, window
if client ~= '' then
  --@include place
  placed, window = place(s.window, tonumber(seq), next_version(s.version, now_ms))
  if placed == 'applied' then
    local passive = (s.mPs > 0 or s.dPs > 0) and 1 or 0
    return { 'duplicate', s.version, wire(s.money), wire(s.xp), tonumber(id), times_bought, passive }
  end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if is_dish == '1' and times_bought > 0 then return { 'upgrade_not_found' } end
if s.rank < tonumber(access_level) then return { 'upgrade_locked', tonumber(access_level) } end
accrue(s, now_ms, tonumber(offline_cap_s))
local price = price_of(tonumber(base_price), tonumber(price_factor), times_bought)
if s.money < price then return { 'not_enough_money', wire(s.money), wire(price) } end

s.money = s.money - price
if s.need > 0 then s.xp = saturated(s.xp + 5 * s.need + half_up(1000, s.stars, 1)) end
s[boost_type] = saturated(s[boost_type] + tonumber(boost_value))
if is_dish == '1' or s.cook_gain > 0 then s.cook_gain = cook_gain(s.dPc, s.dM) end
times_bought = times_bought + 1
local entry = id .. ':' .. times_bought
if times_bought > 1 then
  owned = string.gsub(owned, ',' .. id .. ':%d+', ',' .. entry, 1)
else
  local at = #owned + 1
  for start, other in string.gmatch(owned, '(),(%d+)') do
    if tonumber(other) > tonumber(id) then
      at = start
      break
    end
  end
  owned = string.sub(owned, 1, at - 1) .. ',' .. entry .. string.sub(owned, at)
end

s.version = next_version(s.version, now_ms)
s.purchases = s.purchases + 1
s.bought = string.sub(owned, 2)
local more = with_offline(s, { 'texts', joined_texts(s), 'rates', packed_rates(s) })
write(s, now_ms, with_window(more, session, client, s.window, window, s.version))
local passive = (s.mPs > 0 or s.dPs > 0) and 1 or 0
publish(channel, own, origin, 'upgrade_buy', s.version, s.money, s.xp, id, times_bought, passive)
return { 'ok', s.version, wire(s.money), wire(s.xp), tonumber(id), times_bought, passive }
