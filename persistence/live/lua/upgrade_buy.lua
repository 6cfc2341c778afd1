-- Buys one upgrade, with passive income paid first at the old rates.
--
-- KEYS     1 session, 2 dirty:{b}
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline cap (integer, s)
--          7 client (text; empty: none)
--          8 seq (integer; any text without a client)
--          9 upgrade id (integer)
--          10 base price (number, money)
--          11 price factor (number)
--          12 access level (integer, rank)
--          13 is_dish (0 or 1: a dish is bought only once)
--          14 boost type (text)
--          15 boost value (integer, hundredths)
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

--@include clock
--@include amounts
--@include product
--@include wire
--@include derive
--@include fetch
--@include packed_rates
--@include refusal
--@include income
--@include accrue
--@include write
--@include publish

-- What one more costs. More than anyone can have where the power passes what doubles hold, or is too long to reckon.
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

local client, id, boost_type = ARGV[7], ARGV[9], ARGV[14]
local s = fetch(client)
local refused = refusal(s)
if refused then return refused end

local now_us = now()
local now_ms, now_s = floor(now_us / 1e3), floor(now_us / 1e6)
local owned = s.bought ~= '' and ',' .. s.bought or ''
local times_bought = tonumber(string.match(owned, ',' .. id .. ':(%d+)')) or 0
local placed, window
if client ~= '' then
  --@include window
  placed, window = place(s.window, tonumber(ARGV[8]), now_s)
  if placed == 'applied' then
    local passive = (s.mPs > 0 or s.dPs > 0) and 1 or 0
    return { 'duplicate', s.version, wire(s.money), wire(s.xp), tonumber(id), times_bought, passive }
  end
  if placed == 'old' then return { 'seq_too_old', window } end
end
if ARGV[13] == '1' and times_bought > 0 then return { 'upgrade_not_found' } end
if s.rank < tonumber(ARGV[12]) then return { 'upgrade_locked', tonumber(ARGV[12]) } end
accrue(s, now_ms, tonumber(ARGV[6]))
local price = price_of(tonumber(ARGV[10]), tonumber(ARGV[11]), times_bought)
if s.money < price then return { 'not_enough_money', wire(s.money), wire(price) } end

s.money = s.money - price
if s.need > 0 then s.xp = saturated(s.xp + 5 * s.need + half_up(1000, s.stars, 1)) end
s[boost_type] = saturated(s[boost_type] + tonumber(ARGV[15]))
if ARGV[13] == '1' or s.cook_gain > 0 then s.cook_gain = cook_gain(s.dPc, s.dM) end
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
if window then
  if not s.window then
    --@include room
    make_room(now_s)
  end
  more[#more + 1] = 'c:' .. client
  more[#more + 1] = window
end
write(s, now_ms, more)
local passive = (s.mPs > 0 or s.dPs > 0) and 1 or 0
publish(ARGV[3], ARGV[4], ARGV[5], 'upgrade_buy', s.version, s.money, s.xp, id, times_bought, passive)
return { 'ok', s.version, wire(s.money), wire(s.xp), tonumber(id), times_bought, passive }
