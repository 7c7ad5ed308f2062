-- Included. What all operations share: where things are, the epoch, the time, packs and holds.
--
-- Keys, all in one slot: P is the prefix in braces, with a colon.
--   Pmeta      hash: epoch, phase (closed, open, complete), identity of the server's history, last pack, last owner
--   Powners    hash: project NUL scope -> number          Po:<owner>  hash: name, level, split, rows; bytes, packs, entries
--   Pb:<owner>:<bucket>  hash: 32 bytes of SHA-256 -> pack as 4 bytes, then what the client encodes. Small enough for the compact form.
--   Pn         hash: name of a pack -> number             Pz          sorted set of all names, by name
--   Pk:<pack>  hash: n name, o owner, s state (l, c, d), b bytes, w producer, r references, c created, u used, h held until, g recorded
--   Pf:<pack>  hash: offset of a frame -> its sizes and encoding
--   Phz        sorted set: hold -> until                  Ph:<hold>   set of packs; goes by itself
--   Pez        sorted set of all names of entries         Pep, Peq    hash: name -> published, pending entry, as JSON
--   Prp, Prq   hash: name -> signed record                Pup, Puq    hash: name -> created, used
--   Peo        hash: object -> name                       Pclaims     hash: task -> until, holder
local META = KEYS[1]
local P = string.sub(META, 1, -5)
local OP, CANDIDATE = ARGV[1], ARGV[3]

local function call(...) return redis.call(...) end

local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A fault, as the client makes one.
local function refuse(what, of) return {err = 'REFUSED ' .. what .. ' ' .. (of or '')} end

-- The identity of the server's history: it differs after every restart, failover and promotion.
local function server_identity()
  local run = string.match(call('INFO', 'server'), 'run_id:(%w+)')
  local history = string.match(call('INFO', 'replication'), 'master_replid:(%w+)')
  return run .. ':' .. history
end

local head = call('HMGET', META, 'epoch', 'phase', 'identity')
local EPOCH, PHASE = head[1], head[2]
local identity = server_identity()
if not EPOCH or head[3] ~= identity then
  EPOCH, PHASE = CANDIDATE, 'closed'
  call('HSET', META, 'epoch', EPOCH, 'phase', PHASE, 'identity', identity)
  call('DEL', P .. 'hz', P .. 'claims')
end

local function int(value) return string.format('%.0f', value) end

local function owner_of(text, make)
  local id = call('HGET', P .. 'owners', text)
  if not id and make then
    id = int(call('HINCRBY', META, 'owner', 1))
    call('HSET', P .. 'owners', text, id)
    call('HSET', P .. 'o:' .. id, 'name', text, 'level', 0, 'split', 0, 'rows', 0)
  end
  return id
end

local function state_of(pack) return call('HGET', P .. 'k:' .. pack, 's') end

-- Numbers of packs whose state was looked up in this call.
local live = {}
local function is_live(pack)
  if live[pack] == nil then live[pack] = state_of(pack) == 'l' end
  return live[pack]
end

local function count(owner, field, by) if owner and owner ~= '0' then call('HINCRBY', P .. 'o:' .. owner, field, by) end end

-- Puts packs under a hold, begun anew where it had ended.
local function hold(id, ttl, packs)
  for _, ended in ipairs(call('ZRANGEBYSCORE', P .. 'hz', '-inf', now, 'LIMIT', 0, 8)) do
    call('ZREM', P .. 'hz', ended)
    call('UNLINK', P .. 'h:' .. ended)
  end
  local key = P .. 'h:' .. id
  local known = tonumber(call('ZSCORE', P .. 'hz', id) or '0')
  if known <= now then
    call('UNLINK', key)
    known = 0
  end
  local ends = math.max(known, now + ttl)
  call('ZADD', P .. 'hz', ends, id)
  for _, pack in ipairs(packs) do call('SADD', key, pack) end
  call('PEXPIRE', key, int(math.max(ends - now, ttl) + 7200000))
  for _, pack in ipairs(call('SMEMBERS', key)) do
    local at = P .. 'k:' .. pack
    if tonumber(call('HGET', at, 'h') or '0') < ends and call('EXISTS', at) == 1 then call('HSET', at, 'h', int(ends)) end
  end
end

local function is_held(id) return tonumber(call('ZSCORE', P .. 'hz', id) or '0') > now end

local function number_of(name) return call('HGET', P .. 'n', name) end

local function add_pack(name, owner, bytes, producer, state)
  local pack = int(call('HINCRBY', META, 'pack', 1))
  call('HSET', P .. 'n', name, pack)
  call('ZADD', P .. 'z', 0, name)
  call('HSET', P .. 'k:' .. pack, 'n', name, 'o', owner, 's', state, 'b', bytes, 'w', producer, 'r', 0, 'c', int(now), 'u', int(now), 'h', 0)
  if state == 'l' then
    count(owner, 'bytes', bytes)
    count(owner, 'packs', 1)
  end
  return pack
end

-- Of a live pack: it counts for its owner no more.
local function leave_live(pack)
  local k = call('HMGET', P .. 'k:' .. pack, 'o', 'b')
  count(k[1], 'bytes', '-' .. k[2])
  count(k[1], 'packs', -1)
  call('HSET', P .. 'k:' .. pack, 's', 'c')
  live[pack] = false
end
