-- Included. Whether the term (counter, nonce, incarnation) is the one that meta names. A term is compared for equality of
-- all three parts; its time plays no part: what ends a term is the next one.
local function is_current(meta, counter, nonce, incarnation)
  local now = redis.call('HMGET', meta, 'counter', 'nonce', 'incarnation')
  return now[1] == counter and now[2] == nonce and now[3] == incarnation
end

-- The identity of the server's history: it differs after every restart, failover and promotion.
local function server_identity()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
  return run .. ':' .. history
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
