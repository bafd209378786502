-- One round of a node: it says that it lives, renews and takes leases, and learns how things stand.
--
-- KEYS[1]  hash: node id → expiry, address, since, leaving, vitals, level, separated by spaces
-- KEYS[2]  hash: shard → node id, expiry, separated by a space
-- KEYS[3]  hash: shard → the level that a node must have to own it, where some node was below it
-- ARGV     node id, address, since (ms), leaving (0 or 1; 2: gone; 3: it cannot write), time to live of the node (ms), of a lease (ms),
--          the time (ms; 0: by Redis's clock), vitals (kept as they are, without spaces), level, number of shards given up, those shards, number of shards wanted or held, those shards,
--          number of shards that need a higher level than this node's, those shards
-- Returns  whether the node was known to live, the live nodes (id, address, since, leaving, level …), the leases (shard, node id …),
--          the levels needed (shard, level …). Leaving is 4 for a node that has said nothing for as long as a lease holds
--
-- Expiry is judged by one clock alone. Running it twice changes nothing more than running it once.

local nodes, leases = KEYS[1], KEYS[2]
local me, address, since, leaving = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local nodeTtl, leaseTtl = tonumber(ARGV[5]), tonumber(ARGV[6])
local now = tonumber(ARGV[7])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local known = redis.call('HEXISTS', nodes, me)
if leaving == '2' then
  redis.call('HDEL', nodes, me)
else
  redis.call('HSET', nodes, me, string.format('%.0f %s %s %s %s %s', now + nodeTtl, address, since, leaving, ARGV[8], ARGV[9]))
end

local live, alive = {}, {}
local all = redis.call('HGETALL', nodes)
for i = 1, #all, 2 do
  local expiry, at, from, goes, level = string.match(all[i + 1], '^(%d+) (%S+) (%d+) (%d) %S+ (%d+)')
  if expiry == nil or tonumber(expiry) <= now then
    redis.call('HDEL', nodes, all[i])
  else
    alive[all[i]] = true
    live[#live + 1] = all[i]
    live[#live + 1] = at
    live[#live + 1] = from
    live[#live + 1] = tonumber(expiry) - now <= nodeTtl - leaseTtl and '4' or goes
    live[#live + 1] = level
  end
end

local function holder(shard)
  local lease = redis.call('HGET', leases, shard)
  if not lease then return nil end
  local owner, expiry = string.match(lease, '^(%S+) (%d+)$')
  -- A node that is gone has no leases: whoever is next need not wait for their end.
  if owner == nil or tonumber(expiry) <= now or not alive[owner] then return nil end
  return owner
end

local at = 10
for i = 1, tonumber(ARGV[at]) do
  local shard = ARGV[at + i]
  if holder(shard) == me then redis.call('HDEL', leases, shard) end
end
at = at + 1 + tonumber(ARGV[at])
for i = 1, tonumber(ARGV[at]) do
  local shard = ARGV[at + i]
  local owner = holder(shard)
  if owner == me or (owner == nil and leaving ~= '2') then
    redis.call('HSET', leases, shard, string.format('%s %.0f', me, now + leaseTtl))
  end
end
at = at + 1 + tonumber(ARGV[at])
for i = 1, tonumber(ARGV[at]) do
  local shard, needed = ARGV[at + i], tonumber(ARGV[9]) + 1
  if needed > tonumber(redis.call('HGET', KEYS[3], shard) or '0') then redis.call('HSET', KEYS[3], shard, needed) end
end

local owners = {}
local held = redis.call('HGETALL', leases)
for i = 1, #held, 2 do
  local owner = holder(held[i])
  if owner ~= nil then
    owners[#owners + 1] = held[i]
    owners[#owners + 1] = owner
  end
end
return { known, live, owners, redis.call('HGETALL', KEYS[3]) }
