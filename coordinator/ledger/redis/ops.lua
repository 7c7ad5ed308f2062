-- Included. Applies operations in their order. `list` holds them flat from `from` on, each a letter and its arguments; keys
-- are indexes into `keys`, of which the first is meta, the second builds, the third partial.
--   H key field value   put a row, a part of a log, a session, a hold
--   D key field         drop it
--   X key seq body      append an event
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

local function append(key, seq, body)
  local answer = redis.pcall('XADD', key, seq .. '-1', 'e', body)
  if type(answer) == 'table' and answer.err then
    -- An event is never changed: one that is there already is the same one.
    if #redis.call('XRANGE', key, seq, seq) == 0 then error(answer.err) end
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
      append(keys[tonumber(list[i + 1])], list[i + 2], list[i + 3])
      i = i + 4
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
