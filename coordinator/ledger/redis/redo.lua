#!lua flags=allow-oom
-- Applies the next slice of a decided commit and drops it. It counts already, so it goes on where memory is short.
-- KEYS: meta, builds, partial, the slice's list, then the keys of the operations
-- ARGV: counter, nonce, incarnation, index of the slice, how many of the list's first entries are no operations,
--   the commit's name, its number in the term (0 where an earlier term decided it)
-- Answers 'done', 'again' (the slice was applied before), 'missing' (the list is gone), or 'fenced' and why.
-- include term
-- include ops
if not is_current(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then return {'fenced', 'term'} end
local last = tonumber(redis.call('HGET', KEYS[1], 'commit'))
if last < tonumber(ARGV[7]) then
  -- The decision itself is missing: this server's history is not the one that it was made in.
  redis.call('HDEL', KEYS[1], 'identity')
  return {'fenced', 'commit ' .. last .. ' before ' .. ARGV[7]}
end
local slice = tonumber(ARGV[4])
local head = redis.call('HMGET', KEYS[1], 'redo', 'slices', 'large')
if not head[1] or head[3] ~= ARGV[6] or tonumber(head[1]) > slice then
  -- Written, so that whoever waits for replicas or the disk behind this call waits for what was written before.
  redis.call('HSET', KEYS[1], 'counter', ARGV[1])
  return {'again'}
end
if tonumber(head[1]) < slice then return {'fenced', 'slice ' .. head[1] .. ' before ' .. slice} end
local list = redis.call('LRANGE', KEYS[4], 0, -1)
if #list == 0 then return {'missing'} end
local keys = {KEYS[1], KEYS[2], KEYS[3]}
for i = 5, #KEYS do keys[i - 1] = KEYS[i] end
apply(list, tonumber(ARGV[5]) + 1, keys)
redis.call('UNLINK', KEYS[4])
if slice + 1 == tonumber(head[2]) then
  redis.call('HDEL', KEYS[1], 'redo', 'slices', 'large', 'staged')
else
  redis.call('HSET', KEYS[1], 'redo', slice + 1)
end
return {'done'}
