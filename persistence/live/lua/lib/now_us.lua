-- Redis' own time in µs: no process can mint money with a clock of its own.
local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1e6 + tonumber(time[2])
end
