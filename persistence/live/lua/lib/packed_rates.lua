--@include formats

-- The field `rates` of a session: what is derived, and under which stamp.
local function packed_rates(s)
  return struct.pack(RATES, s.cook_gain, s.click_xp, s.mPc, s.mM, s.sPs, s.dPc, s.dM, s.mPs, s.dPs, s.mpM, s.dpM, s.need, s.first_need) .. s.stamp
end
