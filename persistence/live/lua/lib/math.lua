-- Short names for what nearly every script computes with.
local floor, min, max = math.floor, math.min, math.max
