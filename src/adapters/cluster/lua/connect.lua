-- A session is live. ARGV[4] the entry as JSON; ARGV[5] 1: it was live before, and is told of again.
-- Returns the sessions to be closed because of it, as node id and session id in turn: itself, where a later one of its device lives.

local session = cjson.decode(ARGV[4])
local lostField = 'l:' .. session.d
local again = ARGV[5] == '1'
local rivals, goesOn = {}, entries[lostField]
for field, entry in pairs(entries) do
  if entry.d == session.d and not entry.due and entry.s ~= session.s then
    rivals[#rivals + 1] = entry
    if not goesOn or goesOn.due or entry.c >= goesOn.c then goesOn = entry end
  end
end
local known = entries['s:' .. session.s]
-- Told of again: what was set since, also on another node, stays.
if known then goesOn = known.o > session.o and known or nil end
if goesOn then
  session.st, session.tx, session.un, session.o = goesOn.st, goesOn.tx, goesOn.un, goesOn.o
end
-- Redis may have lost which was the last.
if session.o > tonumber(redis.call('HGET', userKey, 'order') or '0') then redis.call('HSET', userKey, 'order', session.o) end
if entries[lostField] then drop(lostField) end
put('s:' .. session.s, session)
redis.call('SADD', nodeKey, userId)

local closed = {}
local function close(entry)
  closed[#closed + 1] = entry.n
  closed[#closed + 1] = entry.s
end
-- Of equal attempts the later one stays: the one that is new, and of those that are told of again the one that connected later.
local function isLater(rival)
  if rival.a ~= session.a or not again then return rival.a > session.a end
  if rival.c ~= session.c then return rival.c > session.c end
  return rival.s > session.s
end
local outdone = false
for _, rival in ipairs(rivals) do
  if isLater(rival) then outdone = true else close(rival) end
end
if outdone then close(session) end
finish()
return closed
