-- Included. Entries: a name has at most one published (p) and one pending (q) row. A row is JSON that the client made.
local function row_of(which, name)
  local row = call('HGET', P .. 'e' .. which, name)
  return row and cjson.decode(row) or nil
end

-- A row as the client reads it: state, JSON, record, created and used.
local function answer(which, name)
  local times = call('HGET', P .. 'u' .. which, name)
  return {which, name, call('HGET', P .. 'e' .. which, name), call('HGET', P .. 'r' .. which, name), times}
end

local function refer(packs, by)
  for _, name in ipairs(packs) do
    local pack = number_of(name)
    if pack then call('HINCRBY', P .. 'k:' .. pack, 'r', by) end
  end
end

local function owner_text(name) return string.match(name, '^(%Z*%z%Z*)%z') end

local function remove(which, name)
  local row = row_of(which, name)
  if not row then return end
  refer(row.packs, -1)
  call('HDEL', P .. 'e' .. which, name)
  call('HDEL', P .. 'r' .. which, name)
  call('HDEL', P .. 'u' .. which, name)
  call('HDEL', P .. 'eo', row.object)
  if which == 'p' then count(owner_of(owner_text(name)), 'entries', -1) end
  if call('HEXISTS', P .. 'ep', name) == 0 and call('HEXISTS', P .. 'eq', name) == 0 then call('ZREM', P .. 'ez', name) end
end

local function insert(which, name, object, json, record, times)
  call('HSET', P .. 'e' .. which, name, json)
  call('HSET', P .. 'r' .. which, name, record)
  call('HSET', P .. 'u' .. which, name, times)
  call('HSET', P .. 'eo', object, name)
  call('ZADD', P .. 'ez', 0, name)
  if which == 'p' then count(owner_of(owner_text(name), true), 'entries', 1) end
end

local function times_now() return int(now) .. ' ' .. int(now) end

local function gone(packs)
  local list = {}
  for _, name in ipairs(packs) do
    local pack = number_of(name)
    if not pack or not is_live(pack) then list[#list + 1] = name end
  end
  return list
end

-- prepare: epoch of the hold, hold, name, object, JSON, record, whether it replaces
local function op_prepare()
  if ARGV[4] ~= EPOCH or not is_held(ARGV[5]) then return refuse('hold', ARGV[5]) end
  local name = ARGV[6]
  local published, pending = row_of('p', name), row_of('q', name)
  if pending and pending.object == ARGV[7] then return {'prepared'} end
  if (published or pending) and ARGV[10] ~= '1' then return {'exists', answer(published and 'p' or 'q', name)} end
  local packs = cjson.decode(ARGV[8]).packs
  local missing = gone(packs)
  if #missing > 0 then return {'packs-gone', missing} end
  if pending then remove('q', name) end
  refer(packs, 1)
  insert('q', name, ARGV[7], ARGV[8], ARGV[9], times_now())
  return {'prepared'}
end

-- publish: name, object
local function op_publish()
  local name = ARGV[4]
  local published, pending = row_of('p', name), row_of('q', name)
  if published and published.object == ARGV[5] then return {} end
  if not pending or pending.object ~= ARGV[5] then return refuse('pending', ARGV[5]) end
  local replaced = published and answer('p', name)
  local row = answer('q', name)
  if published then remove('p', name) end
  -- Its references are counted already: they go over to the published row.
  refer(pending.packs, 1)
  remove('q', name)
  insert('p', name, ARGV[5], row[3], row[4], row[5])
  return {replaced or false}
end

-- drop: name, object, whether only a pending one goes
local function op_drop()
  for _, which in ipairs({'p', 'q'}) do
    local row = row_of(which, ARGV[4])
    if row and row.object == ARGV[5] and (which == 'q' or ARGV[6] ~= '1') then
      remove(which, ARGV[4])
      return {'1'}
    end
  end
  return {}
end

-- restore: epoch, name, object, JSON, record, whether it replaces
local function op_restore()
  local name = ARGV[5]
  local published, pending = row_of('p', name), row_of('q', name)
  if published and published.object == ARGV[6] then return {'1'} end
  if pending and pending.object == ARGV[6] then remove('q', name) end
  if published and ARGV[9] ~= '1' then return {} end
  local packs = cjson.decode(ARGV[7]).packs
  if #gone(packs) > 0 then return {} end
  refer(packs, 1)
  if published then remove('p', name) end
  insert('p', name, ARGV[6], ARGV[7], ARGV[8], times_now())
  return {'1'}
end

local function use(name, grain)
  local created, used = string.match(call('HGET', P .. 'up', name), '(%S+) (%S+)')
  if now - tonumber(used) >= grain then call('HSET', P .. 'up', name, created .. ' ' .. int(now)) end
  return answer('p', name)
end

-- get: grain, then names, nearest first
local function op_get()
  for i = 5, #ARGV do
    if call('HEXISTS', P .. 'ep', ARGV[i]) == 1 then return {use(ARGV[i], tonumber(ARGV[4]))} end
  end
  return {}
end

-- newest: name of the best so far, its time of creation, least name (as ZRANGEBYLEX has it), end, how many. Answers the best, its time
-- and the last name that was looked at, if there may be more.
local function op_newest()
  local best, time = ARGV[4], tonumber(ARGV[5])
  local names = call('ZRANGEBYLEX', P .. 'ez', ARGV[6], ARGV[7], 'LIMIT', 0, ARGV[8])
  for _, name in ipairs(names) do
    local times = call('HGET', P .. 'up', name)
    local created = times and tonumber(string.match(times, '%S+'))
    -- Names come in their order: of equally new ones the last is the newest.
    if created and created >= time then best, time = name, created end
  end
  return {best, int(time), #names == tonumber(ARGV[8]) and names[#names] or ''}
end

-- list: least name, end, how many. Answers the rows of so many names, and the last name if there may be more.
local function op_list()
  local names = call('ZRANGEBYLEX', P .. 'ez', ARGV[4], ARGV[5], 'LIMIT', 0, ARGV[6])
  local rows = {}
  for _, name in ipairs(names) do
    for _, which in ipairs({'p', 'q'}) do
      if call('HEXISTS', P .. 'e' .. which, name) == 1 then rows[#rows + 1] = answer(which, name) end
    end
  end
  return {rows, #names == tonumber(ARGV[6]) and names[#names] or ''}
end

-- pending: the names of all pending entries, in pieces: cursor, how many. Answers the next cursor and names.
local function op_pending()
  local answered = call('HSCAN', P .. 'uq', ARGV[4], 'COUNT', ARGV[5])
  local names = {}
  for i = 1, #answered[2], 2 do names[#names + 1] = answered[2][i] end
  return {answered[1], names}
end

-- rows: names. Answers their rows.
local function op_rows()
  local rows = {}
  for i = 4, #ARGV do
    for _, which in ipairs({'p', 'q'}) do
      if call('HEXISTS', P .. 'e' .. which, ARGV[i]) == 1 then rows[#rows + 1] = answer(which, ARGV[i]) end
    end
  end
  return {rows}
end

-- known: objects. Answers those that belong to an entry.
local function op_known()
  local known = {}
  for i = 4, #ARGV do
    if call('HEXISTS', P .. 'eo', ARGV[i]) == 1 then known[#known + 1] = ARGV[i] end
  end
  return known
end
