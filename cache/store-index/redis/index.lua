#!lua
-- One step of the store's index.
-- KEYS: meta; all other keys are made from it and lie in the same slot
-- ARGV: operation, ms since 1970 or '' for the server's time, a new epoch if one begins, then what the operation says
-- Answers what the operation says, or the error REFUSED and why.
-- include common
-- include blobs
-- include entries

local STATES = {l = 'live', c = 'condemned', d = 'deleted'}

-- packs: least name, end, how many. Answers fields of each, and the last name if there may be more.
local function op_packs()
  local names = call('ZRANGEBYLEX', P .. 'z', ARGV[4], ARGV[5], 'LIMIT', 0, ARGV[6])
  local rows = {}
  for _, name in ipairs(names) do
    local k = call('HMGET', P .. 'k:' .. number_of(name), 's', 'o', 'b', 'w', 'r', 'c', 'u', 'h', 'g')
    local owner = k[2] ~= '0' and call('HGET', P .. 'o:' .. k[2], 'name') or ''
    rows[#rows + 1] = {name, STATES[k[1]], owner, k[3], k[4], k[5], k[6], k[7], k[8], k[9] or ''}
  end
  return {rows, #names == tonumber(ARGV[6]) and names[#names] or ''}
end

-- usage: first owner, how many. Answers name, bytes, packs, entries of each, and the last number of all.
local function op_usage()
  local last = tonumber(call('HGET', META, 'owner') or '0')
  local rows = {}
  for owner = tonumber(ARGV[4]), math.min(last, ARGV[4] + ARGV[5] - 1) do
    local o = call('HMGET', P .. 'o:' .. int(owner), 'name', 'bytes', 'packs', 'entries')
    rows[#rows + 1] = {o[1], o[2] or '0', o[3] or '0', o[4] or '0'}
  end
  return {rows, int(last)}
end

-- condemn: epoch, name, unused since
local function op_condemn()
  if PHASE ~= 'complete' then return refuse('incomplete') end
  local name, since = ARGV[5], tonumber(ARGV[6])
  local pack = number_of(name)
  if not pack then
    add_pack(name, '0', 0, '', 'c')
    return {'1'}
  end
  local k = call('HMGET', P .. 'k:' .. pack, 's', 'r', 'h', 'c', 'u')
  if k[1] == 'c' then return {'1'} end
  if k[1] == 'd' or tonumber(k[2]) ~= 0 or tonumber(k[3]) > now or tonumber(k[4]) >= since or tonumber(k[5]) >= since then return {} end
  leave_live(pack)
  return {'1'}
end

-- recorded: epoch, name
local function op_recorded()
  local pack = number_of(ARGV[5])
  if not pack or state_of(pack) ~= 'c' then return refuse('uncondemned', ARGV[5]) end
  call('HSETNX', P .. 'k:' .. pack, 'g', int(now))
  return {}
end

-- may-delete: name, epoch, grace
local function op_may_delete()
  local pack = number_of(ARGV[4])
  if ARGV[5] ~= EPOCH or not pack then return {} end
  local k = call('HMGET', P .. 'k:' .. pack, 's', 'g')
  if k[1] ~= 'c' or not k[2] or now - tonumber(k[2]) < tonumber(ARGV[6]) then return {} end
  return {'1'}
end

-- deleted: name
local function op_deleted()
  local pack = number_of(ARGV[4])
  if not pack or state_of(pack) == 'l' then return refuse('uncondemned', ARGV[4]) end
  call('HSET', P .. 'k:' .. pack, 's', 'd')
  call('UNLINK', P .. 'f:' .. pack)
  return {}
end

-- drop-pack: name
local function op_drop_pack()
  local pack = number_of(ARGV[4])
  if not pack or state_of(pack) ~= 'd' then return {} end
  call('UNLINK', P .. 'k:' .. pack)
  call('HDEL', P .. 'n', ARGV[4])
  call('ZREM', P .. 'z', ARGV[4])
  return {'1'}
end

-- claim: task, holder, ttl
local function op_claim()
  local known = call('HGET', P .. 'claims', ARGV[4])
  if known then
    local ends, holder = string.match(known, '^(%S+) (.*)$')
    if holder ~= ARGV[5] and tonumber(ends) > now then return {} end
  end
  call('HSET', P .. 'claims', ARGV[4], int(now + ARGV[6]) .. ' ' .. ARGV[5])
  return {'1'}
end

-- replay: epoch, then names
local function op_replay()
  if PHASE ~= 'closed' then return refuse('phase', 'is open already') end
  for i = 5, #ARGV do
    local pack = number_of(ARGV[i]) or add_pack(ARGV[i], '0', 0, '', 'c')
    local state = state_of(pack)
    if state == 'l' then leave_live(pack) end
    if state ~= 'd' then call('HSET', P .. 'k:' .. pack, 'h', 0, 'g', int(now)) end
  end
  return {}
end

-- unneed: epoch, names of entries: drops those that need a pack that is not live
local function op_unneed()
  if PHASE ~= 'closed' then return refuse('phase', 'is open already') end
  for i = 5, #ARGV do
    for _, which in ipairs({'p', 'q'}) do
      local row = row_of(which, ARGV[i])
      if row and #gone(row.packs) > 0 then remove(which, ARGV[i]) end
    end
  end
  return {}
end

local function op_state() return {EPOCH, PHASE, int(now)} end

-- open: epoch
local function op_open()
  if PHASE == 'closed' then call('HSET', META, 'phase', 'open') end
  return {}
end

-- complete: epoch
local function op_complete()
  if PHASE == 'closed' then return refuse('phase', 'is not open') end
  call('HSET', META, 'phase', 'complete')
  return {}
end

-- What each operation is, whether it waits until the index is open, and whether its first argument is the epoch that it is for.
local OPS = {
  state = {op_state, false, false}, open = {op_open, false, true}, complete = {op_complete, false, true},
  add = {op_add, ARGV[8] ~= '', false}, locate = {op_locate, true, false}, forget = {op_forget, true, false},
  extend = {op_extend, true, false}, release = {op_release, true, false}, sweep = {op_sweep, true, false},
  prepare = {op_prepare, true, false}, publish = {op_publish, true, false}, drop = {op_drop, false, false},
  restore = {op_restore, false, true}, get = {op_get, true, false}, newest = {op_newest, true, false},
  list = {op_list, false, false}, pending = {op_pending, false, false}, rows = {op_rows, false, false},
  known = {op_known, false, false}, packs = {op_packs, false, false}, usage = {op_usage, true, false},
  condemn = {op_condemn, true, true}, recorded = {op_recorded, true, true}, ['may-delete'] = {op_may_delete, true, false},
  deleted = {op_deleted, true, false}, ['drop-pack'] = {op_drop_pack, true, false}, claim = {op_claim, false, false},
  replay = {op_replay, false, true}, unneed = {op_unneed, false, true},
}

local op = OPS[OP]
if not op then error('unknown operation ' .. tostring(OP)) end
if op[3] and ARGV[4] ~= EPOCH then return refuse('epoch', EPOCH) end
if op[2] and PHASE == 'closed' then return refuse('closed') end
return op[1]()
