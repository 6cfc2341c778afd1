-- Which of a client's last 64 numbers were applied: the highest, 64 bits in two halves (bit 0 of lo stands for `highest`), and
-- when it was last used (s). Twin of game/clients.py.
local WINDOW, FORGOTTEN_AFTER_S, WORD = '<dddd', 604800, 4294967296

-- The window's highest number and words; zeros for a client unknown or unused for a week.
local function window_of(field, now_s)
  if not field then return 0, 0, 0 end
  local highest, hi, lo, used_s = struct.unpack(WINDOW, field)
  if now_s - used_s >= FORGOTTEN_AFTER_S then return 0, 0, 0 end
  return highest, hi, lo
end
