--@include math
--@include formats

-- Puts into the table what the fields now, life and rates hold: the numbers by name, `stamp` as text ('' where nothing is derived).
-- `saved` is the version that PostgreSQL is known to have.
-- Without a session `version` is 0. `reserved` is how many versions after this one pushes may have taken that processes computed:
-- with income one for each whole second up to `joined_until`, none where that is negative.
local function take(s, now, life, rates)
  s.version, s.stamp = 0, string.sub(rates or '', STAMP)
  if not now then return end
  s.version, s.dirty, s.dishes, s.money, s.xp, s.clicks, s.cooked, s.earned, s.tat = struct.unpack(NOW, now)
  local _
  s.boost, s.accrued_at, s.accumulated, s.rank, s.stars, s.purchases, s.resets, _, s.joined_until = struct.unpack(LIFE, life)
  s.saved = s.dirty == 0 and s.version or math.abs(s.dirty) - 1
  s.reserved = 0
  if not rates then return end
  s.cook_gain, s.click_xp, s.mPc, s.mM, s.sPs, s.dPc, s.dM, s.mPs, s.dPs, s.mpM, s.dpM, s.need, s.first_need =
    struct.unpack(RATES, rates)
  if s.mPs > 0 or s.dPs > 0 then s.reserved = max(0, floor((s.joined_until - s.accrued_at) / 1000)) end
end
