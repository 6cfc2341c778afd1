-- Short names for what a click calls, which a call for several players looks up once for all of them.
local call, struct_pack, struct_unpack, sub = redis.call, struct.pack, struct.unpack, string.sub
