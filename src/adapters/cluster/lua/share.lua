-- A node says what it is asked for of one rate, and leases its share of it.
--
-- KEYS[1]  hash: node id → demand, share in thousandths, expiry in ms, separated by spaces
-- ARGV     node id, demand (a whole number a second; 0: it gives its share back), time to live of a share (ms),
--          the time (ms; 0: by Redis's clock)
-- Returns  the node's share from now on, in thousandths
--
-- A node gets what its demand is of all demand, and no more than others leave: all shares together are never more than the whole.
-- Running it twice changes nothing more than running it once.

local rate, me = KEYS[1], ARGV[1]
local demand, ttl, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

if demand <= 0 then
  redis.call('HDEL', rate, me)
  return 0
end

local asked, left = demand, 1000
local all = redis.call('HGETALL', rate)
for i = 1, #all, 2 do
  if all[i] ~= me then
    local wants, has, expiry = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
    if tonumber(expiry) > now then
      asked, left = asked + tonumber(wants), left - tonumber(has)
    else
      redis.call('HDEL', rate, all[i])
    end
  end
end

local share = math.max(math.min(math.floor(1000 * demand / asked), left), 0)
redis.call('HSET', rate, me, string.format('%.0f %.0f %.0f', demand, share, now + ttl))
redis.call('PEXPIRE', rate, ttl)
return share
