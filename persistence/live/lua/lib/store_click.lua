-- Writes `now` and a client's window, once its `seq` is applied; `known` is the window it had, or false.
local function store_click(key, packed, client, known, window, version)
  if not known then
    --@include make_room
    make_room(key, version)
  end
  redis.call('HSET', key, 'now', packed, 'c:' .. client, window)
end
