#!lua
-- Keeps one slice of a large commit for later.
-- KEYS: meta, the slice's list
-- ARGV: counter, nonce, incarnation, commit number, index of the slice, then what the list is to hold
-- Answers 'done', or 'fenced' and why. Staging a slice again replaces it.
-- include term
if not is_current(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then return {'fenced', 'term'} end
local last = tonumber(redis.call('HGET', KEYS[1], 'commit'))
-- A call that was delayed until its commit was decided must not bring slices back.
if last ~= ARGV[4] - 1 then return {'fenced', 'commit ' .. last .. ' before ' .. ARGV[4]} end
local staged = tonumber(redis.call('HGET', KEYS[1], 'staged') or '0')
if staged <= tonumber(ARGV[5]) then redis.call('HSET', KEYS[1], 'staged', ARGV[5] + 1) end
redis.call('UNLINK', KEYS[2])
for from = 6, #ARGV, 1000 do
  redis.call('RPUSH', KEYS[2], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
return {'done'}
