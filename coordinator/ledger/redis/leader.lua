#!lua flags=no-writes
-- Who leads.
-- KEYS: meta
-- Answers id and address, or nothing where nobody does or the term's time is over.
-- include term
local m = redis.call('HMGET', KEYS[1], 'holder', 'address', 'until')
if not m[1] or tonumber(m[3]) <= now_ms() then return {} end
return {m[1], m[2]}
