-- A node says how many sessions of a tenant it has, and hears how many the others have.
--
-- KEYS[1]  hash: node id → count, expiry in ms, separated by a space
-- ARGV     node id, count, limit of all nodes together (0: none), time to live of what it says (ms), the time (ms; 0: by Redis's clock)
-- Returns  how many the other nodes have
--
-- Where all together would be more than the limit, what the node said before holds. Running it twice changes nothing more than running it once.

local tenant, me = KEYS[1], ARGV[1]
local count, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local ttl, now = tonumber(ARGV[4]), tonumber(ARGV[5])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local others = 0
local all = redis.call('HGETALL', tenant)
for i = 1, #all, 2 do
  if all[i] ~= me then
    local has, expiry = string.match(all[i + 1], '^(%d+) (%d+)$')
    if tonumber(expiry) > now then
      others = others + tonumber(has)
    else
      redis.call('HDEL', tenant, all[i])
    end
  end
end

if count == 0 then
  redis.call('HDEL', tenant, me)
elseif limit == 0 or others + count <= limit then
  redis.call('HSET', tenant, me, string.format('%.0f %.0f', count, now + ttl))
  redis.call('PEXPIRE', tenant, ttl)
end
return others
