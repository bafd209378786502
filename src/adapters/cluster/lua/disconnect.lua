-- A session has ended. ARGV[4] its id, ARGV[5] when its grace is over (ms since 1970; 0: it has none).
-- Returns whether the user has just gone offline.

local field = 's:' .. ARGV[4]
local session = entries[field]
if not session then return 0 end
drop(field)
local due = tonumber(ARGV[5])
local others = false
for _, entry in pairs(entries) do
  if entry.d == session.d and not entry.due then others = true end
end
if due > 0 and not others then
  session.at, session.due = now, due
  put('l:' .. session.d, session)
end
return finish()
