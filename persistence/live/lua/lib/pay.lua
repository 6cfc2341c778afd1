--@include refusal
--@include accrue
--@include with_offline
--@include next_version
--@include write
--@include wire

-- Pays a session up to now; `paid` says whether its player's connections are to be notified. What ticks alone have changed can be
-- computed again from `accrued_at`, so it stays unmarked while the last save is younger than `mark_after_ms`, and out of the
-- append-only file and the replicas too: a session without a mark may be ahead of both, and the script that writes to one next writes
-- all of `now` and `life`. Not where a short cap on income while away could cut off what was sent: it must be ten times as long.
local function pay(s, stamp, now_ms, cap_s, mark_after_ms)
  local refused = refusal(s, stamp)
  if refused then return refused end
  accrue(s, now_ms, cap_s)
  if s.moved then
    s.version = next_version(s.version, now_ms)
    local more = with_offline(s, {})
    if mark_after_ms == 0 or math.abs(now_ms - s.saved_at) >= mark_after_ms then
      write(s, now_ms, more)
    elseif s.dirty == 0 and #more == 0 and cap_s * 1000 >= 10 * mark_after_ms then
      redis.set_repl(redis.REPL_NONE)
      store(s, more)
      redis.set_repl(redis.REPL_ALL)
    else
      store(s, more)
    end
  end
  return { 'ok', s.version, wire(s.money), wire(s.dishes), s.rank, wire(s.xp), wire(s.accumulated), s.paid }
end
