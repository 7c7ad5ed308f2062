#!lua flags=no-writes,allow-stale
-- What the server that holds the ledger says about itself.
-- KEYS: meta, which leads a cluster's client to the right server
return redis.call('INFO', 'server') .. redis.call('INFO', 'memory') .. redis.call('INFO', 'persistence') .. redis.call('INFO', 'replication')
