-- A session is live. ARGV[4] the entry as JSON.
-- Returns the sessions to be closed because of it, as node id and session id in turn: itself, where a later one of its device lives.

local session = cjson.decode(ARGV[4])
local lostField = 'l:' .. session.d
local rivals, goesOn, current = {}, entries[lostField], session.a
for field, entry in pairs(entries) do
  if entry.d == session.d and not entry.due and entry.s ~= session.s then
    rivals[#rivals + 1] = entry
    if entry.a > current then current = entry.a end
    if not goesOn or goesOn.due or entry.c >= goesOn.c then goesOn = entry end
  end
end
local known = entries['s:' .. session.s]
if goesOn and not known then
  session.st, session.tx, session.un, session.o = goesOn.st, goesOn.tx, goesOn.un, goesOn.o
end
if entries[lostField] then drop(lostField) end
put('s:' .. session.s, session)
redis.call('SADD', nodeKey, userId)

local closed = {}
local function close(entry)
  closed[#closed + 1] = entry.n
  closed[#closed + 1] = entry.s
end
if current > session.a then close(session) end
for _, rival in ipairs(rivals) do
  if rival.a <= session.a then close(rival) end
end
finish()
return closed
