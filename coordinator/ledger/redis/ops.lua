-- Included. Applies operations in their order. `list` holds them flat from `from` on, each a letter and its arguments; keys
-- are indexes into `keys`, of which the first is meta, the second builds, the third partial.
--   H key field value   put a row, a part of a log, a session, a hold
--   D key field         drop it
--   X key seq n body... append n events, of which the last is number `seq`
--   U key               drop a whole key
--   A key member        add a token to a build's
--   R key member        take it away
--   B build             the build is accepted; where it was taken for a leftover before, the next leader finds that it is none
--   F build             the build is forgotten
--   P build             something of the build was written: without a build record it is a leftover
--   S key end           drop the chunks of a log that end at or before `end`
local function drop_chunks(key, stop)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 1) == 'c' and tonumber(string.sub(field, 2)) + redis.call('HSTRLEN', key, field) <= stop then
      redis.call('HDEL', key, field)
    end
  end
end

local function append(key, seq, list, from, count)
  local pairs_of = {}
  for i = 0, count - 1 do
    pairs_of[2 * i + 1] = 'e'
    pairs_of[2 * i + 2] = list[from + i]
  end
  local answer = redis.pcall('XADD', key, seq .. '-1', unpack(pairs_of))
  if type(answer) == 'table' and answer.err then
    -- Events come in order and are never changed: where this number or a later one is there, these are there already.
    if #redis.call('XRANGE', key, seq, '+', 'COUNT', 1) == 0 then error(answer.err) end
  end
end

local function apply(list, from, keys)
  -- Puts of one key are made together: at the end, or before something else is done to the key.
  local puts = {}
  local put_keys = {}
  local function put_into(key)
    local fields = puts[key]
    if fields then
      puts[key] = nil
      redis.call('HSET', key, unpack(fields))
    end
  end
  local i = from
  while i <= #list do
    local op = list[i]
    if op == 'H' then
      local key = keys[tonumber(list[i + 1])]
      local fields = puts[key]
      if not fields then
        fields = {}
        puts[key] = fields
        put_keys[#put_keys + 1] = key
      end
      fields[#fields + 1] = list[i + 2]
      fields[#fields + 1] = list[i + 3]
      i = i + 4
    elseif op == 'X' then
      local count = tonumber(list[i + 3])
      append(keys[tonumber(list[i + 1])], list[i + 2], list, i + 4, count)
      i = i + 4 + count
    elseif op == 'D' then
      local key = keys[tonumber(list[i + 1])]
      put_into(key)
      redis.call('HDEL', key, list[i + 2])
      i = i + 3
    elseif op == 'A' then
      redis.call('SADD', keys[tonumber(list[i + 1])], list[i + 2])
      i = i + 3
    elseif op == 'R' then
      redis.call('SREM', keys[tonumber(list[i + 1])], list[i + 2])
      i = i + 3
    elseif op == 'S' then
      local key = keys[tonumber(list[i + 1])]
      put_into(key)
      drop_chunks(key, tonumber(list[i + 2]))
      i = i + 3
    elseif op == 'U' then
      local key = keys[tonumber(list[i + 1])]
      put_into(key)
      redis.call('UNLINK', key)
      i = i + 2
    elseif op == 'P' then
      if not redis.call('ZSCORE', keys[2], list[i + 1]) then redis.call('SADD', keys[3], list[i + 1]) end
      i = i + 2
    elseif op == 'B' then
      redis.call('ZADD', keys[2], 0, list[i + 1])
      i = i + 2
    elseif op == 'F' then
      redis.call('ZREM', keys[2], list[i + 1])
      redis.call('SREM', keys[3], list[i + 1])
      i = i + 2
    else
      error('unknown operation ' .. tostring(op))
    end
  end
  for _, key in ipairs(put_keys) do put_into(key) end
end
