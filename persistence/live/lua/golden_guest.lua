-- Says which golden guest waits or comes next; serves one first, once, where asked to and while the guest is here. Passive income is
-- paid first. Twin of game/golden.py.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 user_id (integer)
--          3 channel (text)
--          4 own (0 or 1: the caller's subscriptions to the channel)
--          5 origin (text, no spaces)
--          6 offline_cap_s (integer)
--          7 client (text: the name under which guests' numbers are remembered)
--          8 serve (integer: the number of the guest to serve; 0: none)
-- REPLY    ok, version, money, dishes, rank, xp, accumulated, changed, gain, id, comes_in_ms (0: the guest is here), leaves_in_ms
--          duplicate, version, money, dishes, rank, xp, accumulated, changed, gain (0), id, comes_in_ms, leaves_in_ms
--          missing
--          stale, stamp
--          no_golden_guest
--          no_dish
-- SENDS    passive, version, money, dishes, rank, xp, accumulated
-- EFFECTS  where a guest is served: the session's version, what accruing changes, joined_until, money, earned, c:<client>, dirty; the
--          dirty mark; publishes `passive`. Elsewhere what passive.lua does
-- COST     HMGET, TIME; with a guest or income: HSET, PUBSUB SHARDNUMSUB; at most 66 periods

--@include math
--@include now_us
--@include next_version
--@include wire
--@include saturated
--@include ceiling
--@include multiplier
--@include fetch
--@include refusal
--@include accrue
--@include advance
--@include place
--@include with_offline
--@include with_window
--@include write
--@include publish_income
--@include write_income
--@include comes_ms

local session, marks = KEYS[1], KEYS[2]
local stamp, user_id, channel, own, origin, offline_cap_s, client, serve =
  ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])

-- The guest pays for the dishes of so many cooks, as if they were sold by hand, and for what so many seconds bring without a click
-- in a kitchen that has no dishes in stock.
local COOKS, SECONDS = 40, 40

local s = fetch(session, marks, user_id, client)
local refused = refusal(s, stamp)
if refused then return refused end

local now_ms = floor(now_us() / 1e3)
local version = next_version(s.version + s.reserved, now_ms)
accrue(s, now_ms, tonumber(offline_cap_s))

-- Who waits or comes next and was not served: number, in how many ms the guest comes and leaves. The guest of the period before may
-- wait still; of a window's 64 numbers those behind the highest one can be served already.
local function following()
  local number = floor(now_ms / EVERY_MS) - 1
  while now_ms >= comes_ms(user_id, number) + STAYS_MS or place(s.window, number, version) == 'applied' do
    number = number + 1
  end
  local comes = comes_ms(user_id, number)
  return number, max(0, comes - now_ms), comes + STAYS_MS - now_ms
end

local placed, window
if serve > 0 then
  placed, window = place(s.window, serve, version)
  -- The clock ran back by hours: nobody waits for a wrong clock's future.
  if placed == 'old' then placed, window = place(false, serve, version) end
end
if placed ~= 'new' then
  write_income(s, now_ms, channel, own, origin)
  local id, comes_in_ms, leaves_in_ms = following()
  local money, dishes, xp, accumulated = wire(s.money), wire(s.dishes), wire(s.xp), wire(s.accumulated)
  if placed then
    return { 'duplicate', s.version, money, dishes, s.rank, xp, accumulated, s.paid, 0, id, comes_in_ms, leaves_in_ms }
  end
  return { 'ok', s.version, money, dishes, s.rank, xp, accumulated, s.paid, 0, id, comes_in_ms, leaves_in_ms }
end
local waited_ms = now_ms - comes_ms(user_id, serve)
if waited_ms < 0 or waited_ms >= STAYS_MS then return { 'no_golden_guest' } end
if s.cook_gain == 0 then return { 'no_dish' } end

local by_itself = income(SECONDS, 0, s)
local by_hand = ceiling(1e5, s.mPc, multiplier(s.mM), s.boost > 0 and s.boost or 10, saturated(COOKS * s.cook_gain))
local gain = saturated(by_hand + by_itself)
s.money = saturated(s.money + gain)
s.earned = saturated(s.earned + gain)
advance(s, now_ms)
promise(s, now_ms)
write(s, now_ms, with_window(with_offline(s, {}), session, client, s.window, window, s.version))
s.window = window
publish_income(s, channel, own, origin)
local id, comes_in_ms, leaves_in_ms = following()
return {
  'ok', s.version, wire(s.money), wire(s.dishes), s.rank, wire(s.xp), wire(s.accumulated), 1, wire(gain), id, comes_in_ms, leaves_in_ms,
}
