-- put: takes over cards and purses that were read from the ledger. What Redis knows better already (a later version) stays, and so does
-- what is reserved.
--
-- KEYS  1 epoch   2.. cards, then purses
-- ARGV  1 epoch that was known before the ledger was read   2 number of cards
--       then one a key: card 'epoch:version:json', purse its committed state (see reserve.lua)
-- Result -1: another epoch, nothing was done; else a list, for each purse what is reserved of it:
--   { debit, spentAmount, spentCount, withdrawnAmount, withdrawnCount }
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local epoch, cards, items = ARGV[1], tonumber(ARGV[2]), #KEYS - 1
if items == 0 then return {} end
local match = string.match

local keys = {}
for i = 1, items do keys[i] = KEYS[i + 1] end
local known = redis.call('MGET', unpack(keys))

local writes, pending = {}, {}
local function write(key, text)
  writes[#writes + 1] = key
  writes[#writes + 1] = text
end

for i = 1, cards do
  local known_epoch, known_version = match(known[i] or '', '^(%d+):(%d+):')
  local version = match(ARGV[i + 2], '^%d+:(%d+):')
  if known_epoch ~= epoch or tonumber(known_version) <= tonumber(version) then write(keys[i], ARGV[i + 2]) end
end

for i = cards + 1, items do
  local state = ARGV[i + 2]
  local known_epoch, known_version, known_gate, reserved = match(known[i] or '', '^(%d+),(%d+),(%d+),.*|(.*)$')
  if known_epoch ~= epoch then
    reserved = '0,0,0,0,0'
    write(keys[i], epoch .. ',' .. state .. '|' .. reserved)
  else
    local version, gate, rest = match(state, '^(%d+),(%d+),(.*)$')
    local later = tonumber(version) > tonumber(known_version)
    if later or (version == known_version and tonumber(gate) > tonumber(known_gate)) then
      if tonumber(gate) < tonumber(known_gate) then gate = known_gate end
      write(keys[i], epoch .. ',' .. version .. ',' .. gate .. ',' .. rest .. '|' .. reserved)
    end
  end
  local list = {}
  for number in string.gmatch(reserved, '%d+') do list[#list + 1] = tonumber(number) end
  pending[i - cards] = list
end

if #writes > 0 then redis.call('MSET', unpack(writes)) end
return pending
