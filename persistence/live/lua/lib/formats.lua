-- A session's numbers: doubles packed into three fields of its hash, so that whatever changes is one read and one write.
-- persistence/live/record.py names the numbers of each; `make check` holds every pack and unpack against it.
-- `now` is what clicks change, `life` what else is kept, `rates` what `refresh` derives, with the stamp after it.
local NOW, LIFE, RATES = '<ddddddddd', '<ddddddddd', '<ddddddddddddd'
-- Where in `now` stands what follows version and dirty, and in `rates` the stamp.
local REST, STAMP = 17, 105
-- Where in `life` stand accrued_at and joined_until, its last.
local ACCRUED, JOINED = 9, 65
