-- put: takes over cards and purses that were read from the ledger. What Redis knows better already (a later version) stays, and so does
-- what is reserved. Of the same version the ledger's word counts: it is the truth.
--
-- KEYS  1 epoch   2.. cards, then purses
-- ARGV  1 epoch that was known before the ledger was read   2 JSON: the purses' committed states
--       { version, gate, balance, day, spentAmount, spentCount, withdrawnAmount, withdrawnCount, marks }   3.. the cards, 'epoch:version:json'
-- Result -1: another epoch, nothing was done; else a list, how each purse was found here:
--   0 not at all   1 as the ledger has it   2 with an older version   3 with a later version   4 of the same version, with an older gate
--   5 of the same version, with other numbers
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local PURSE = '<dddddddddddddddd' -- see reserve.lua
local epoch, states, cards = tonumber(ARGV[1]), cjson.decode(ARGV[2]), #ARGV - 2
if #KEYS == 1 then return {} end

local keys = {}
for i = 2, #KEYS do keys[i - 1] = KEYS[i] end
local known = redis.call('MGET', unpack(keys))

local writes, found = {}, {}
for i = 1, cards do
  local known_epoch, known_version = string.match(known[i] or '', '^(%d+):(%d+):')
  local version = string.match(ARGV[i + 2], '^%d+:(%d+):')
  if known_epoch ~= ARGV[1] or tonumber(known_version) <= tonumber(version) then
    writes[#writes + 1] = keys[i]
    writes[#writes + 1] = ARGV[i + 2]
  end
end

for i, state in ipairs(states) do
  local text = known[cards + i]
  local purse = text and { struct.unpack(PURSE, text) }
  local changed
  found[i] = 1
  if not purse or purse[1] ~= epoch then
    found[i] = 0
    purse = { epoch, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
    for field = 1, 9 do purse[field + 1] = state[field] end
    changed = true
  elseif state[1] >= purse[2] then
    local gate = math.max(purse[3], state[2])
    if state[1] > purse[2] then
      found[i] = 2
    else
      if purse[3] < state[2] then found[i] = 4 end
      for field = 3, 9 do
        if purse[field + 1] ~= state[field] then found[i] = 5 end
      end
    end
    for field = 1, 9 do purse[field + 1] = state[field] end
    purse[3] = gate
    changed = true
  else
    found[i] = 3
  end
  if changed then
    writes[#writes + 1] = keys[cards + i]
    writes[#writes + 1] = struct.pack(PURSE, unpack(purse, 1, 16))
  end
end

if #writes > 0 then redis.call('MSET', unpack(writes)) end
return found
