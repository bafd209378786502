-- What the scripts of the session directory share; put in front of each of them.
--
-- KEYS[1]  hash of a user: "s:" session id → a live session, "l:" device id → one that was lost, "order" → the last order given
-- KEYS[2]  sorted set of the users of this part of the tenant that are not offline, all with score 0
-- KEYS[3]  set of the users of this part of the tenant of whom a node has entries
-- ARGV[1]  user id, ARGV[2] the time (ms since 1970), ARGV[3] the channel that the user's watchers listen to; the rest is each script's own
--
-- An entry is JSON: n node, s session, d device, a attempt, c connected at, i what else is known of the session, st status, tx text, un until,
-- o order; of a lost one also at (lost at) and due.

local userKey, onlineKey, nodeKey = KEYS[1], KEYS[2], KEYS[3]
local userId, now, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local OFFLINE, ONLINE, AWAY, DO_NOT_DISTURB, INVISIBLE = 1, 2, 3, 4, 5
local STRENGTH = { [AWAY] = 1, [ONLINE] = 2, [DO_NOT_DISTURB] = 3, [INVISIBLE] = 4 }

local entries = {}
do
  local stored = redis.call('HGETALL', userKey)
  for i = 1, #stored, 2 do
    if stored[i] ~= 'order' then entries[stored[i]] = cjson.decode(stored[i + 1]) end
  end
end

-- What others see: the strongest entry, among equals the one set last. What is over is online without a text, and was never set.
local function shown()
  local best, strongest, order = nil, 0, -1
  for _, entry in pairs(entries) do
    if not entry.due or entry.due > now then
      local status, text, till, at = entry.st, entry.tx, entry.un or 0, entry.o
      if till > 0 and till <= now then status, text, till, at = ONLINE, '', 0, 0 end
      local strength = STRENGTH[status] or 0
      if strength > strongest or (strength == strongest and at > order) then
        best, strongest, order = { status, text, till }, strength, at
      end
    end
  end
  if best == nil or best[1] == INVISIBLE then return OFFLINE .. '' end
  return best[1] .. ' ' .. best[3] .. ' ' .. best[2]
end

local before = shown()

local function put(field, entry)
  entries[field] = entry
  redis.call('HSET', userKey, field, cjson.encode(entry))
end

local function drop(field)
  entries[field] = nil
  redis.call('HDEL', userKey, field)
end

-- Ends a script: keeps what follows from its changes, and tells watchers. Returns 1 where the user has just gone offline.
local function finish()
  local after = shown()
  if next(entries) == nil then
    redis.call('DEL', userKey)
    redis.call('SREM', nodeKey, userId)
  end
  if after == OFFLINE .. '' then
    redis.call('ZREM', onlineKey, userId)
  else
    redis.call('ZADD', onlineKey, 0, userId)
  end
  if before ~= after then redis.call('SPUBLISH', channel, '') end
  if before ~= OFFLINE .. '' and after == OFFLINE .. '' then return 1 end
  return 0
end

local function nextOrder()
  return redis.call('HINCRBY', userKey, 'order', 1)
end
