-- How many clients a session knows, and after how long one that is unused is forgotten.
local CLIENTS, UNUSED_MS = 32, 604800000

-- By last use, then by the bytes of the name: Lua's own `<` follows the server's locale.
local function older(a, b)
  if a.used ~= b.used then return a.used < b.used end
  for i = 1, math.min(#a.field, #b.field) do
    local x, y = string.byte(a.field, i), string.byte(b.field, i)
    if x ~= y then return x < y end
  end
  return #a.field < #b.field
end

-- Room for a client that the session does not know yet: forgets clients unused for a week, then the ones used longest ago, until
-- one more fits. The game's own windows stay.
local function make_room(key, version)
  --@include is_own
  local known = {}
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'c:' and not is_own(fields[i]) then
      local used = struct.unpack('<d', fields[i + 1], 25)
      -- An older release wrote whole seconds.
      known[#known + 1] = { field = fields[i], used = used < 1e11 and used * 1000 or used }
    end
  end
  table.sort(known, older)
  for i, client in ipairs(known) do
    if version - client.used >= UNUSED_MS or #known - i >= CLIENTS - 1 then redis.call('HDEL', key, client.field) end
  end
end
