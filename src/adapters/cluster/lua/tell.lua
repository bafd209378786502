-- What others see may have changed by itself, as what was set until a moment does. Returns whether the user is offline now.

if shown() == OFFLINE .. '' then redis.call('ZREM', onlineKey, userId) else redis.call('ZADD', onlineKey, 0, userId) end
redis.call('SPUBLISH', channel, '')
return 0
