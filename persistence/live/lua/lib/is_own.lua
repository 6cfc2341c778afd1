-- Whether the field of a window is the game's own: its name is longer than the 64 characters that a player's client may have. Such
-- windows take nobody's place, and nobody takes theirs. Counts the bytes that begin a character of UTF-8. Twin of game/clients.py.
local function is_own(field)
  local _, characters = string.gsub(field, '[^\128-\191]', '')
  return characters > 64 + #'c:'
end
