-- Buys an upgrade as many of `count` times as the money lasts, with passive income paid first at the old rates.
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
--          10 count (integer, at least 1)
--          11 base_price (number, money)
--          12 price_factor (number)
--          13 access_level (integer, rank)
--          14 is_dish (0 or 1: a dish is bought only once)
--          15 boost_type (text)
--          16 boost_value (integer, hundredths)
-- REPLY    ok, version, money, xp, id, times_bought, passive, applied
--          duplicate, version, money, xp, id, times_bought, passive, applied (0)
--          missing
--          stale, stamp
--          seq_too_old, highest
--          upgrade_not_found
--          upgrade_locked, level
--          not_enough_money, have, need
-- SENDS    upgrade_buy, version, money, xp, id, times_bought, passive, applied
--          passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  session: version, what accruing changes, joined_until, bought, purchases, the sum of the boost, cook_gain, c:<client>,
--          dirty; the dirty mark; publishes `upgrade_buy`, or `passive` where a duplicate paid income
-- COST     HMGET, TIME, HSET, PUBSUB SHARDNUMSUB; O(times_bought) for the first price, at most 100,000 steps; O(applied), at most
--          1,000

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
--@include advance
--@include with_offline
--@include with_window
--@include write
--@include publish
--@include publish_income
--@include write_income

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, offline_cap_s, client, seq, id, count, base_price, price_factor, access_level, is_dish,
  boost_type, boost_value =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]),
  tonumber(ARGV[12]), ARGV[13], ARGV[14], ARGV[15], tonumber(ARGV[16])

-- What one more costs. More than anyone can have where the power passes what doubles hold, or is too long to compute.
local UNAFFORDABLE, LONGEST_POWER = 1e301, 100000
local function power_of(times)
  local power = 1
  if price_factor ~= 1 then
    if times > LONGEST_POWER then return UNAFFORDABLE end
    for _ = 1, times do
      power = power * price_factor
      if power > LIMIT then return UNAFFORDABLE end
    end
  end
  return power
end
local function price_at(power)
  if power > LIMIT then return UNAFFORDABLE end
  local exact = base_price * power
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
accrue(s, now_ms, tonumber(offline_cap_s))

local placed, window
if client ~= '' then
  --@include place
  placed, window = place(s.window, tonumber(seq), next_version(s.version + s.reserved, now_ms))
  if placed == 'applied' then
    write_income(s, now_ms, channel, own, origin)
    local passive = (s.mPs > 0 or s.dPs > 0) and 1 or 0
    return { 'duplicate', s.version, wire(s.money), wire(s.xp), tonumber(id), times_bought, passive, 0 }
  end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if is_dish == '1' and times_bought > 0 then return { 'upgrade_not_found' } end
if s.rank < tonumber(access_level) then return { 'upgrade_locked', tonumber(access_level) } end
local power = power_of(times_bought)
local price = price_at(power)
if s.money < price then return { 'not_enough_money', wire(s.money), wire(price) } end

if is_dish == '1' then count = 1 end
local bought_before, applied = times_bought, 0
while applied < count and s.money >= price do
  s.money = s.money - price
  if s.need > 0 then s.xp = saturated(s.xp + 5 * s.need + half_up(1000, s.stars, 1)) end
  s[boost_type] = saturated(s[boost_type] + boost_value)
  applied = applied + 1
  times_bought = times_bought + 1
  power = (price_factor == 1 or times_bought <= LONGEST_POWER) and power * price_factor or UNAFFORDABLE
  price = price_at(power)
end
if is_dish == '1' or s.cook_gain > 0 then s.cook_gain = cook_gain(s.dPc, s.dM) end
local entry = id .. ':' .. times_bought
if bought_before > 0 then
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

advance(s, now_ms)
promise(s, now_ms)
s.purchases = s.purchases + applied
s.bought = string.sub(owned, 2)
local more = with_offline(s, { 'texts', joined_texts(s), 'rates', packed_rates(s) })
write(s, now_ms, with_window(more, session, client, s.window, window, s.version))
local passive = (s.mPs > 0 or s.dPs > 0) and 1 or 0
publish(channel, own, origin, 'upgrade_buy', s.version, s.money, s.xp, id, times_bought, passive, applied)
return { 'ok', s.version, wire(s.money), wire(s.xp), tonumber(id), times_bought, passive, applied }
