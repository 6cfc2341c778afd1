-- Which of a client's last 64 numbers were applied: the highest, 64 bits in two halves (bit 0 of lo stands for `highest`), and
-- the version that one was last applied with, which is a time (ms) or ahead of one. Twin of game/clients.py.
local WINDOW, FORGOTTEN_AFTER_MS, WORD = '<dddd', 604800000, 4294967296

-- The window's highest number and words as of the version that the next change takes; zeros for a client unknown or unused for a
-- week.
local function window_of(field, version)
  if not field then return 0, 0, 0 end
  local highest, hi, lo, used = struct.unpack(WINDOW, field)
  -- An older release wrote whole seconds.
  if used < 1e11 then used = used * 1000 end
  if version - used >= FORGOTTEN_AFTER_MS then return 0, 0, 0 end
  return highest, hi, lo
end
