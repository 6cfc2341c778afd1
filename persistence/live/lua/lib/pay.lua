-- Pays a session up to now; `paid` says whether its player's connections are to be told. What ticks alone have changed can be
-- computed again from `accrued_at`, so it stays unmarked while the last save is younger than `mark_after_ms`.
local function pay(s, now_ms, cap_s, mark_after_ms)
  local refused = refusal(s)
  if refused then return refused end
  accrue(s, now_ms, cap_s)
  if s.moved then
    s.version = next_version(s.version, now_ms)
    if now_ms - s.saved_at < mark_after_ms then store(s, with_offline(s, {})) else write(s, now_ms, with_offline(s, {})) end
  end
  return { 'ok', s.version, wire(s.money), wire(s.dishes), s.rank, wire(s.xp), wire(s.accumulated), s.paid }
end
