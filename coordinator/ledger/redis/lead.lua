#!lua flags=allow-oom
-- Takes the leadership if it is free: nobody has it, its time is over, or the holder comes again.
-- KEYS: meta
-- ARGV: holder's id, holder's address, ms of the term, nonce, new incarnation, the form of the data, channel of hints
-- Answers 'lead', counter, incarnation, staged slices, slices of a decided commit (0: none is unfinished), the next of them,
-- the commit's name;
-- or 'held'; or 'form' and the form that the data has.
-- include term
local m = redis.call('HMGET', KEYS[1], 'form', 'counter', 'holder', 'until', 'ttl', 'identity', 'incarnation', 'staged', 'slices', 'redo',
  'large')
if m[1] and tonumber(m[1]) > tonumber(ARGV[6]) then return {'form', m[1]} end
local now = now_ms()
if m[3] and m[3] ~= ARGV[1] and tonumber(m[4]) > now then
  -- More than a whole term to go: the server's clock was set back.
  if m[4] - now > tonumber(m[5]) then redis.call('HSET', KEYS[1], 'until', now + m[5]) end
  return {'held'}
end
local identity = server_identity()
local incarnation = m[7]
if not incarnation or m[6] ~= identity then incarnation = ARGV[5] end
local counter = tostring(tonumber(m[2] or '0') + 1)
redis.call('HSET', KEYS[1], 'form', ARGV[6], 'counter', counter, 'nonce', ARGV[4], 'incarnation', incarnation, 'identity', identity,
  'holder', ARGV[1], 'address', ARGV[2], 'ttl', ARGV[3], 'until', now + ARGV[3], 'commit', 0)
redis.call('HDEL', KEYS[1], 'swept')
redis.call('PUBLISH', ARGV[7], '')
return {'lead', counter, incarnation, m[8] or '0', m[9] or '0', m[10] or '0', m[11] or ''}
