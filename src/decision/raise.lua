-- raise: counts attempts before they are made, each against several counters that must all have room, for a whole batch in one atomic step. What was
-- raised and came to nothing bad is given back. No policy: the ceilings come with the items.
--
-- KEYS  1 epoch   2.. counters
-- ARGV  1 epoch the caller knows   2 JSON: how long each counter lives from its first count on, milliseconds
--       3 JSON: what is given back, a list of { counter, count }
--       4 JSON: the attempts, each a list of { counter, count, ceiling after the addition }; a counter is its position among the counters, from 1
-- Result -1: another epoch, nothing was done; else a list, a number an attempt: 0 raised, or the position in its list of the counter that was full
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local lifetimes, returned, attempts = cjson.decode(ARGV[2]), cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
if #KEYS == 1 then return {} end

local keys = {}
for i = 2, #KEYS do keys[i - 1] = KEYS[i] end
local counts, change = redis.call('MGET', unpack(keys)), {}
for i = 1, #keys do change[i] = 0 end

local function count(i) return (counts[i] and tonumber(counts[i]) or 0) + change[i] end

-- A counter that has lived its time is gone: nothing is given back to it.
for _, item in ipairs(returned) do
  local at, by = item[1], item[2]
  if counts[at] then change[at] = change[at] - math.min(by, count(at)) end
end

local results = {}
for i, attempt in ipairs(attempts) do
  local full = 0
  for position, item in ipairs(attempt) do
    if full == 0 and count(item[1]) + item[2] > item[3] then full = position end
  end
  if full == 0 then
    for _, item in ipairs(attempt) do change[item[1]] = change[item[1]] + item[2] end
  end
  results[i] = full
end

-- One that is back at nothing takes no memory: most attempts turn out well, and end in one command.
local gone = {}
for i, key in ipairs(keys) do
  if change[i] ~= 0 then
    if counts[i] and count(i) <= 0 then
      gone[#gone + 1] = key
    elseif counts[i] then
      redis.call('INCRBY', key, change[i])
    else
      redis.call('SET', key, change[i], 'PX', lifetimes[i])
    end
  end
end
if #gone > 0 then redis.call('DEL', unpack(gone)) end
return results
