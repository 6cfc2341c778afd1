--@include store

-- Writes a changed session and marks it, once; `more` are further fields (name, value, …).
local function write(s, now_ms, more)
  if s.dirty == 0 then
    --@include mark
    s.dirty = mark(s.key, s.marks, s.user_id, now_ms)
  end
  store(s, more)
end
