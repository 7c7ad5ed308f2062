#!lua
-- Applies one commit, all or nothing, under the term and after the commit before it.
-- KEYS: meta, builds, partial, then the keys of the operations
-- ARGV: counter, nonce, incarnation, commit number, channel of hints, hint ('' for none), then the operations
-- Answers 'done', 'again' (this commit was applied before), or 'fenced' and why.
-- include ops
-- All that decides is read at once: this is on the way of every step.
local now = redis.call('HMGET', KEYS[1], 'counter', 'nonce', 'incarnation', 'commit', 'redo')
if now[1] ~= ARGV[1] or now[2] ~= ARGV[2] or now[3] ~= ARGV[3] then return {'fenced', 'term'} end
local number = tonumber(ARGV[4])
local last = tonumber(now[4])
if last == number then
  -- Written again, so that whoever waits for replicas or the disk behind this call waits for what was written before.
  redis.call('HSET', KEYS[1], 'commit', number)
  return {'again'}
end
if last ~= number - 1 or now[5] then
  -- Commits are missing: this server's history is not the one that the term was given in.
  if last < number then redis.call('HDEL', KEYS[1], 'identity') end
  return {'fenced', 'commit ' .. last .. ' before ' .. number}
end
apply(ARGV, 7, KEYS)
redis.call('HSET', KEYS[1], 'commit', number)
if ARGV[6] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[6]) end
return {'done'}
