-- reserve: settles finished reservations and makes new ones, for a whole batch in one atomic step. No policy: every number it compares
-- was decided outside.
--
-- KEYS  1 epoch   2 reservations (hash: idempotency key -> what it reserved)   3.. one purse (hash) an item, settlements first
-- ARGV  1 epoch the caller knows   2 number of settlements
--       then two an item: its idempotency key, and
--         settlement   ''  release, or 'version,balance,gate,day,spentAmount,spentCount,withdrawnAmount,withdrawnCount' the committed state
--         reservation  'debit,gate,group,amount,count,amountMax,countMax,day|rest'; gate 0 any; group 0 none, 1 spending,
--                      2 withdrawal; day yyyymmdd;
--                      rest 'body,ms,keyDate,purseId' is kept for repeats and for the sweeper
-- Result -1: another epoch, nothing was done; else a list, a number a reservation:
--   0 reserved   1 kept: this key has reserved before with this body   2 this key has reserved before with another body
--   3 purse not here   4 gate   5 balance   6 the day's amount   7 the day's count
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local epoch = ARGV[1]
local reservations = KEYS[2]
local settlements = tonumber(ARGV[2])
local items = (#ARGV - 2) / 2

local STATE = '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$'
local RESERVATION = '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)|(%-?%d+),'
local PENDING = { { 'psa', 'psc' }, { 'pwa', 'pwc' } }

-- Lua does not roll back: everything is read and checked for form before the first write.
local parsed = {}
for i = 1, items do
  local text = ARGV[2 * i + 2]
  if i > settlements then
    local debit, gate, group, amount, count, amount_max, count_max, day, body = string.match(text, RESERVATION)
    if not debit then return redis.error_reply('ERR malformed reservation') end
    parsed[i] = { tonumber(debit), gate, tonumber(group), tonumber(amount), tonumber(count), tonumber(amount_max), tonumber(count_max), tonumber(day), body }
  elseif text ~= '' then
    local version, balance, gate, day, spent_amount, spent_count, withdrawn_amount, withdrawn_count = string.match(text, STATE)
    if not version then return redis.error_reply('ERR malformed settlement') end
    parsed[i] = { version, balance, gate, day, spent_amount, spent_count, withdrawn_amount, withdrawn_count }
  end
end

local function settle(purse, key, state)
  local reserved = redis.call('HGET', reservations, key)
  if reserved then redis.call('HDEL', reservations, key) end
  local known = redis.call('HMGET', purse, 'e', 'v', 'g', 'pd')
  if known[1] ~= epoch then return end
  if reserved then
    local debit, _, group, amount, count = string.match(reserved, RESERVATION)
    redis.call('HSET', purse, 'pd', math.max(0, tonumber(known[4]) - tonumber(debit)))
    local names = PENDING[tonumber(group)]
    if names then
      redis.call('HINCRBY', purse, names[1], -tonumber(amount))
      redis.call('HINCRBY', purse, names[2], -tonumber(count))
    end
  end
  if state and tonumber(state[1]) > tonumber(known[2]) then
    redis.call('HSET', purse, 'v', state[1], 'b', state[2], 'g', math.max(tonumber(known[3]), tonumber(state[3])), 'd', state[4],
      'sa', state[5], 'sc', state[6], 'wa', state[7], 'wc', state[8])
  end
end

local function reserve(purse, key, text, item)
  local debit, gate, group, amount, count, amount_max, count_max, day, body =
    item[1], item[2], item[3], item[4], item[5], item[6], item[7], item[8], item[9]
  local before = redis.call('HGET', reservations, key)
  if before then
    local _, _, _, _, _, _, _, _, body_before = string.match(before, RESERVATION)
    return body_before == body and 1 or 2
  end
  local p = redis.call('HMGET', purse, 'e', 'b', 'g', 'd', 'pd', 'sa', 'sc', 'psa', 'psc', 'wa', 'wc', 'pwa', 'pwc')
  if p[1] ~= epoch then return 3 end
  if gate ~= '0' and p[3] ~= gate then return 4 end
  local pending = tonumber(p[5])
  if tonumber(p[2]) - pending < debit then return 5 end
  if group == 0 then
    redis.call('HSET', purse, 'pd', pending + debit)
  else
    local at = group == 1 and 6 or 10
    local today = tonumber(p[4]) >= day
    local pending_amount, pending_count = tonumber(p[at + 2]) + amount, tonumber(p[at + 3]) + count
    if (today and tonumber(p[at]) or 0) + pending_amount > amount_max then return 6 end
    if (today and tonumber(p[at + 1]) or 0) + pending_count > count_max then return 7 end
    local names = PENDING[group]
    redis.call('HSET', purse, 'pd', pending + debit, names[1], pending_amount, names[2], pending_count)
  end
  redis.call('HSET', reservations, key, text)
  return 0
end

local results = {}
for i = 1, items do
  local purse, key = KEYS[i + 2], ARGV[2 * i + 1]
  if i <= settlements then
    settle(purse, key, parsed[i])
  else
    results[i - settlements] = reserve(purse, key, ARGV[2 * i + 2], parsed[i])
  end
end
return results
