#!lua flags=allow-oom
-- Drops what a broken-off commit or submission left behind.
-- KEYS: meta, builds, partial, then the keys to drop
-- ARGV: counter, nonce, incarnation, the build whose last keys these are ('' for none), 'last' for the last sweep of the term
-- Answers 'done', or 'fenced' and why.
-- include term
if not is_current(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then return {'fenced', 'term'} end
-- A call that was delayed must not drop what the term has staged since.
if redis.call('HEXISTS', KEYS[1], 'swept') == 1 then
  -- Written, so that whoever waits for replicas or the disk behind this call waits for what was written before.
  redis.call('HSET', KEYS[1], 'swept', 1)
  return {'done'}
end
for i = 4, #KEYS do redis.call('UNLINK', KEYS[i]) end
if ARGV[4] ~= '' then redis.call('SREM', KEYS[3], ARGV[4]) end
if ARGV[5] == 'last' then
  redis.call('HDEL', KEYS[1], 'staged')
  redis.call('HSET', KEYS[1], 'swept', 1)
end
return {'done'}
