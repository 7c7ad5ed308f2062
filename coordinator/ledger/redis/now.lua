#!lua flags=no-writes
-- What time it is on the server that holds the ledger, in ms since the epoch.
-- KEYS: meta, which leads a cluster's client to the right server
-- include term
return now_ms()
