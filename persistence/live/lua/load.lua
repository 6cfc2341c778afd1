#!lua
-- Writes sessions from PostgreSQL, or new ones, into Redis; never over one that is as new. By mode:
-- claimed: only while the claim of the load is the caller's own and no session exists; the claim is spent.
-- create: the same for a player who never had a session: zeros, paid up to now, marked dirty.
-- newer: where no session exists or an older one, of which nothing is kept; its connections are notified.
-- The `floor` that lua/raise_above.lua left stays, for `refresh`.
-- Where the marks are given as the session's own key, they may be on another node, since the slot is on its way: the caller marks.
-- The stamp names no run, if anything the generation of the rates that were saved: `refresh` derives them before the first use.
--
-- KEYS     1 session, 2 claim_key (load:{b}), 3 marks (dirty:{b}); the same for each session…
-- ARGV     1 mode (text: claimed, create or newer)
--          2 ttl_s (integer)
--          3 origin (text, no spaces: who publishes)
--          4 user_id (integer)
--          5 channel (text)
--          6 claim (text: its token; '' with newer)
--          7 version (integer; 0 with create)
--          8 words (integer: how many follow)
--          9 fields (name, value, …; but with create now and life, which are made here); 4 to 9 for each session…
-- REPLY    loaded
--          exists (as new or newer)
--          unclaimed
-- SENDS    reloaded, version
-- EFFECTS  session with EXPIRE, or with create a dirty mark and none; the claim; over an older session the mark goes and
--          `reloaded` is published; replies a word for each session
-- COST     a session: HMGET, HSET of some 6 fields, EXPIRE

--@include formats
--@include now_us

local mode, ttl_s, origin = ARGV[1], ARGV[2], ARGV[3]
local now_ms = math.floor(now_us() / 1e3)

local function create(session, marks, user_id, first, last)
  local dirty = marks == session and -1 or 1
  redis.call('HSET', session, 'now', struct.pack(NOW, now_ms, dirty, 0, 0, 0, 0, 0, 0, 0),
    'life', struct.pack(LIFE, 0, now_ms, 0, 0, 0, 0, 0, 0, 0), unpack(ARGV, first, last))
  if dirty == 1 then redis.call('ZADD', marks, 'NX', now_ms, user_id) end
end

local function saved(session, first, last)
  redis.call('HSET', session, unpack(ARGV, first, last))
  redis.call('EXPIRE', session, ttl_s)
end

local function keep(session, floor)
  if floor then redis.call('HSET', session, 'floor', floor) end
end

-- `first` and `last`: where in ARGV the session's fields stand.
local function load(session, claim_key, marks, user_id, channel, claim, version, first, last)
  if mode == 'newer' then
    local held = redis.call('HMGET', session, 'now', 'floor')
    local now, floor = held[1], held[2]
    if now and struct.unpack('<d', now) >= tonumber(version) then return { 'exists' } end
    if now then
      redis.call('DEL', session)
      if marks ~= session then redis.call('ZREM', marks, user_id) end
      keep(session, floor)
    end
    saved(session, first, last)
    if now then redis.call('SPUBLISH', channel, origin .. ' reloaded ' .. version) end
    return { 'loaded' }
  end
  if redis.call('GET', claim_key) ~= claim then return { 'unclaimed' } end
  redis.call('DEL', claim_key)
  local held = redis.call('HMGET', session, 'now', 'floor')
  local now, floor = held[1], held[2]
  if now then return { 'exists' } end
  -- What is there expires: of lua/reserve.lua, or lua/raise_above.lua.
  if floor or marks == session then redis.call('DEL', session) end
  keep(session, floor)
  if mode == 'create' then
    create(session, marks, user_id, first, last)
  else
    saved(session, first, last)
  end
  return { 'loaded' }
end

local statuses, at = {}, 4
for i = 1, #KEYS / 3 do
  local session, claim_key, marks = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local user_id, channel, claim, version, words = unpack(ARGV, at, at + 4)
  local first = at + 5
  local last = first + words - 1
  statuses[i] = load(session, claim_key, marks, user_id, channel, claim, version, first, last)[1]
  at = last + 1
end
return statuses
