#!lua
-- Decides a large commit whose slices are staged: from here on it counts, and whoever leads finishes it.
-- KEYS: meta
-- ARGV: counter, nonce, incarnation, commit number, number of slices, the commit's name
-- Answers 'done', 'again' (it was decided before), or 'fenced' and why.
-- include term
if not is_current(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then return {'fenced', 'term'} end
local number = tonumber(ARGV[4])
local last = tonumber(redis.call('HGET', KEYS[1], 'commit'))
if last == number then return {'again'} end
if last ~= number - 1 or redis.call('HGET', KEYS[1], 'staged') ~= ARGV[5] then
  if last < number then redis.call('HDEL', KEYS[1], 'identity') end
  return {'fenced', 'commit ' .. last .. ' before ' .. number}
end
redis.call('HSET', KEYS[1], 'commit', number, 'redo', 0, 'slices', ARGV[5], 'large', ARGV[6])
return {'done'}
