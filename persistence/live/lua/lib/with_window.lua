--@include is_own

-- Adds a client's window, once its `seq` is applied, to the fields that a script writes; `known` is the one it had, or false. A
-- call without `seq` has no window.
local function with_window(fields, key, client, known, window, version)
  if not window then return fields end
  if not known and not is_own('c:' .. client) then
    --@include make_room
    make_room(key, version)
  end
  fields[#fields + 1] = 'c:' .. client
  fields[#fields + 1] = window
  return fields
end
