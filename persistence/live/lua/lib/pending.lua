--@include noted

-- What is not yet shown: what was pending, and what this gap earned. Nil when there is neither.
local function pending(s)
  local away = noted(s)
  if not s.offline then s.offline = redis.call('HGET', s.key, 'offline') or '' end
  if s.offline == '' then return away end
  local sum = {}
  for number in string.gmatch(s.offline, '[^:]+') do
    sum[#sum + 1] = tonumber(number)
  end
  -- An older release wrote the first four: its gaps were not capped where they were kept.
  sum[5], sum[6] = sum[5] or sum[1], sum[6] or 0
  for i = 1, 6 do
    sum[i] = sum[i] + (away and away[i] or 0)
  end
  return sum
end
