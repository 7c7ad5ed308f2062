#!lua flags=allow-oom
-- Extends the term, unless this server has another history than the one that gave it.
-- KEYS: meta
-- ARGV: counter, nonce, incarnation, ms of the term, the last commit that was acknowledged
-- Answers 'done', or 'fenced' and why.
-- include term
if not is_current(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then return {'fenced', 'term'} end
local m = redis.call('HMGET', KEYS[1], 'identity', 'commit')
if m[1] ~= server_identity() then return {'fenced', 'server'} end
if tonumber(m[2]) < tonumber(ARGV[5]) then
  redis.call('HDEL', KEYS[1], 'identity')
  return {'fenced', 'commit ' .. m[2] .. ' after ' .. ARGV[5]}
end
redis.call('HSET', KEYS[1], 'ttl', ARGV[4], 'until', now_ms() + ARGV[4])
return {'done'}
