-- A user sets what a session shows. ARGV[4] its id; empty: all live sessions of the user. ARGV[5] status, ARGV[6] text, ARGV[7] until (ms since
-- 1970; 0: for good). Returns how many sessions show it, whether the user has just gone offline, and the order of what was set.

local status, text, till = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local chosen, order = 0, nil
for field, entry in pairs(entries) do
  if not entry.due and (ARGV[4] == '' or entry.s == ARGV[4]) then
    order = order or nextOrder()
    entry.st, entry.tx, entry.un, entry.o = status, text, till, order
    put(field, entry)
    chosen = chosen + 1
  end
end
if chosen == 0 then return { 0, 0, 0 } end
return { chosen, finish(), order }
