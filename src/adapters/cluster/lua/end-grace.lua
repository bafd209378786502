-- The grace of a lost session is over, unless its device is back. ARGV[4] its device, ARGV[5] its id.
-- Returns when it was lost, where the user has just gone offline; else 0.

local field = 'l:' .. ARGV[4]
local lost = entries[field]
if not lost or lost.s ~= ARGV[5] then return 0 end
-- It has counted until now, whatever the clock of whoever asks says.
now = math.max(now, lost.due)
local due = lost.due
lost.due = now + 1
before = shown()
lost.due = due
drop(field)
if finish() == 1 then return lost.at end
return 0
