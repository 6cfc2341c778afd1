-- Tells those who subscribe to a user's channel of a change.
local function tell(channel, origin, kind, version, ...)
  local words = { origin, kind, string.format('%.0f', version) }
  for _, word in ipairs({ ... }) do
    words[#words + 1] = type(word) == 'number' and string.format('%.17g', word) or word
  end
  redis.call('SPUBLISH', channel, table.concat(words, ' '))
end
