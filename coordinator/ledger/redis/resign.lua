#!lua flags=allow-oom
-- Ends the term, where it is current, and says so to whoever listens.
-- KEYS: meta
-- ARGV: counter, nonce, incarnation, channel of hints
-- include term
if is_current(KEYS[1], ARGV[1], ARGV[2], ARGV[3]) then
  redis.call('HDEL', KEYS[1], 'nonce', 'holder', 'address', 'until', 'ttl')
  redis.call('PUBLISH', ARGV[4], '')
end
return {'done'}
