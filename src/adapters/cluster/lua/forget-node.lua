-- A node is gone, and with it what it had of this user. ARGV[4] the node.
-- Returns whether the user has just gone offline, and the sessions that went.

local gone = {}
for field, entry in pairs(entries) do
  if entry.n == ARGV[4] then
    if not entry.due then gone[#gone + 1] = entry.s end
    drop(field)
  end
end
local offline = finish()
redis.call('SREM', nodeKey, userId)
return { offline, gone }
