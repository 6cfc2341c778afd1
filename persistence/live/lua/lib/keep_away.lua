--@include pending

-- Puts what a long gap earned beside what is not yet shown.
local function keep_away(s)
  if not noted(s) then return end
  local sum = pending(s)
  s.offline = string.format('%.0f:%.17g:%.17g:%.17g:%.0f:%.17g', sum[1], sum[2], sum[3], sum[4], sum[5], sum[6])
  s.away, s.kept = nil, true
end
