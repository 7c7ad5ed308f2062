-- Included. Blobs: rows lie in buckets of about 64, whose number grows with the owner's rows one by one (linear hashing).
local ROWS_PER_BUCKET = 64

local function bucket_of(owner, shape, hash)
  local a, b, c = string.byte(hash, 1, 3)
  local n = a * 65536 + b * 256 + c
  local size = 2 ^ shape.level
  local at = n % size
  if at < shape.split then at = n % (size * 2) end
  return P .. 'b:' .. owner .. ':' .. int(at)
end

local function shape_of(owner)
  local o = call('HMGET', P .. 'o:' .. owner, 'level', 'split', 'rows')
  return {level = tonumber(o[1] or '0'), split = tonumber(o[2] or '0'), rows = tonumber(o[3] or '0')}
end

-- Splits buckets until there are enough for the rows, a few in one call. Rows of packs that are gone are left out.
local function grow(owner, shape)
  local splits = 0
  while splits < 4 and shape.level < 24 and shape.rows > (2 ^ shape.level + shape.split) * ROWS_PER_BUCKET do
    local key = P .. 'b:' .. owner .. ':' .. int(shape.split)
    local rows = call('HGETALL', key)
    shape.split = shape.split + 1
    call('DEL', key)
    for i = 1, #rows, 2 do
      if is_live(int(struct.unpack('>I4', rows[i + 1]))) then call('HSET', bucket_of(owner, shape, rows[i]), rows[i], rows[i + 1])
      else shape.rows = shape.rows - 1 end
    end
    if shape.split == 2 ^ shape.level then
      shape.level = shape.level + 1
      shape.split = 0
    end
    splits = splits + 1
  end
  call('HSET', P .. 'o:' .. owner, 'level', shape.level, 'split', shape.split, 'rows', int(shape.rows))
end

-- add: owner, name, bytes, producer, epoch of the hold, hold, ttl, begun, within, number of frames, then offset and value of each,
-- then hash and value of each row
local function op_add()
  if ARGV[8] ~= '' and ARGV[8] ~= EPOCH then return refuse('hold', ARGV[9]) end
  local name = ARGV[5]
  local pack = number_of(name)
  if pack and state_of(pack) ~= 'l' then return refuse('condemned', name) end
  if now - tonumber(ARGV[11]) > tonumber(ARGV[12]) then return refuse('late', name) end
  local owner = owner_of(ARGV[4], true)
  if pack and call('HGET', P .. 'k:' .. pack, 'o') ~= owner then return refuse('foreign', name) end
  if not pack then pack = add_pack(name, owner, ARGV[6], ARGV[7], 'l') end
  local frames = tonumber(ARGV[13])
  for i = 14, 13 + 2 * frames, 2 do call('HSET', P .. 'f:' .. pack, ARGV[i], ARGV[i + 1]) end
  local shape = shape_of(owner)
  local mark = struct.pack('>I4', tonumber(pack))
  for i = 14 + 2 * frames, #ARGV, 2 do
    local key = bucket_of(owner, shape, ARGV[i])
    local known = call('HGET', key, ARGV[i])
    if not known then shape.rows = shape.rows + 1 end
    if not known or not is_live(int(struct.unpack('>I4', known))) then call('HSET', key, ARGV[i], mark .. ARGV[i + 1]) end
  end
  grow(owner, shape)
  if ARGV[8] ~= '' then hold(ARGV[9], tonumber(ARGV[10]), {pack}) end
  return {}
end

-- locate: epoch of the hold, hold, ttl, grain, number of owners, the owners, then hashes. Answers a row or nothing for each, then
-- number, name and frames of each pack.
local function op_locate()
  if ARGV[4] ~= '' and ARGV[4] ~= EPOCH then return refuse('hold', ARGV[5]) end
  local owners = {}
  local from = 9 + tonumber(ARGV[8])
  for i = 9, from - 1 do
    local owner = owner_of(ARGV[i])
    if owner then owners[#owners + 1] = {owner, shape_of(owner)} end
  end
  local rows, packs, seen = {}, {}, {}
  for i = from, #ARGV do
    local found = false
    for _, owner in ipairs(owners) do
      local row = call('HGET', bucket_of(owner[1], owner[2], ARGV[i]), ARGV[i])
      local pack = row and int(struct.unpack('>I4', row))
      if row and is_live(pack) then
        found = row
        if not seen[pack] then
          seen[pack] = true
          packs[#packs + 1] = pack
        end
        break
      end
    end
    rows[#rows + 1] = found
  end
  local about = {}
  for _, pack in ipairs(packs) do
    local k = call('HMGET', P .. 'k:' .. pack, 'n', 'u')
    if now - tonumber(k[2]) >= tonumber(ARGV[7]) then call('HSET', P .. 'k:' .. pack, 'u', int(now)) end
    about[#about + 1] = {pack, k[1], call('HGETALL', P .. 'f:' .. pack)}
  end
  if ARGV[4] ~= '' then hold(ARGV[5], tonumber(ARGV[6]), packs) end
  return {rows, about}
end

-- forget: owner, then hash and pack's name of each
local function op_forget()
  local owner = owner_of(ARGV[4])
  if not owner then return {} end
  local shape = shape_of(owner)
  for i = 5, #ARGV, 2 do
    local key = bucket_of(owner, shape, ARGV[i])
    local row = call('HGET', key, ARGV[i])
    if row and int(struct.unpack('>I4', row)) == number_of(ARGV[i + 1]) then
      call('HDEL', key, ARGV[i])
      call('HINCRBY', P .. 'o:' .. owner, 'rows', -1)
    end
  end
  return {}
end

-- extend: epoch of the hold, hold, ttl
local function op_extend()
  if ARGV[4] ~= EPOCH or not is_held(ARGV[5]) then return refuse('hold', ARGV[5]) end
  hold(ARGV[5], tonumber(ARGV[6]), {})
  return {}
end

-- release: hold
local function op_release()
  call('ZREM', P .. 'hz', ARGV[4])
  call('UNLINK', P .. 'h:' .. ARGV[4])
  return {}
end

-- sweep: owner's number, bucket, how many buckets. Answers the next owner and bucket, or nothing at the end.
local function op_sweep()
  local owner, bucket, left = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local last = tonumber(call('HGET', META, 'owner') or '0')
  while left > 0 and owner <= last do
    local shape = shape_of(owner)
    if bucket >= 2 ^ shape.level + shape.split then
      owner = owner + 1
      bucket = 0
    else
      local key = P .. 'b:' .. int(owner) .. ':' .. int(bucket)
      local rows, gone = call('HGETALL', key), 0
      for i = 1, #rows, 2 do
        if not is_live(int(struct.unpack('>I4', rows[i + 1]))) then
          call('HDEL', key, rows[i])
          gone = gone + 1
        end
      end
      if gone > 0 then call('HINCRBY', P .. 'o:' .. int(owner), 'rows', -gone) end
      bucket = bucket + 1
    end
    left = left - 1
  end
  if owner > last then return {} end
  return {int(owner), int(bucket)}
end
