-- Redis' own time in µs: no process can mint money with a clock of its own.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1e6 + time[2]
end
