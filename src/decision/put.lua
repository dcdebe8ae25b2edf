-- put: takes over cards and purses that were read from the ledger. What Redis knows better already (a later version) stays.
--
-- KEYS  1 epoch   2.. cards (strings) first, then purses (hashes)
-- ARGV  1 epoch that was known before the ledger was read   2 number of cards
--       then one a key: card 'epoch:version:json', purse 'version,balance,gate,day,spentAmount,spentCount,withdrawnAmount,withdrawnCount'
-- Result -1: another epoch, nothing was done; else a list, for each purse what is reserved of it:
--   { debit, spentAmount, spentCount, withdrawnAmount, withdrawnCount }
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local epoch = ARGV[1]
local cards = tonumber(ARGV[2])

for i = 1, cards do
  local known = redis.call('GET', KEYS[i + 1])
  local known_epoch, known_version = string.match(known or '', '^(%d+):(%d+):')
  local version = string.match(ARGV[i + 2], '^%d+:(%d+):')
  if known_epoch ~= epoch or tonumber(known_version) <= tonumber(version) then redis.call('SET', KEYS[i + 1], ARGV[i + 2]) end
end

local pending = {}
for i = cards + 1, #KEYS - 1 do
  local purse = KEYS[i + 1]
  local version, balance, gate, day, spent_amount, spent_count, withdrawn_amount, withdrawn_count =
    string.match(ARGV[i + 2], '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$')
  local known = redis.call('HMGET', purse, 'e', 'v', 'g', 'pd', 'psa', 'psc', 'pwa', 'pwc')
  if known[1] ~= epoch then
    redis.call('HSET', purse, 'e', epoch, 'v', version, 'b', balance, 'g', gate, 'd', day, 'sa', spent_amount, 'sc', spent_count,
      'wa', withdrawn_amount, 'wc', withdrawn_count, 'pd', 0, 'psa', 0, 'psc', 0, 'pwa', 0, 'pwc', 0)
    pending[i - cards] = { 0, 0, 0, 0, 0 }
  else
    if tonumber(known[2]) < tonumber(version) then
      redis.call('HSET', purse, 'v', version, 'b', balance, 'd', day, 'sa', spent_amount, 'sc', spent_count, 'wa', withdrawn_amount, 'wc', withdrawn_count)
    end
    if tonumber(known[3]) < tonumber(gate) then redis.call('HSET', purse, 'g', gate) end
    pending[i - cards] = { tonumber(known[4]), tonumber(known[5]), tonumber(known[6]), tonumber(known[7]), tonumber(known[8]) }
  end
end
return pending
