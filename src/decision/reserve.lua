-- reserve: settles finished reservations and makes new ones, for a whole batch in one atomic step. No policy: every number it compares
-- was decided outside. Everything is read in two commands, worked out in local tables, and written in three at the end: Lua does not roll
-- back, and commands are what costs.
--
-- KEYS  1 epoch   2 reservations (hash: idempotency key -> what it reserved)   3.. the purse of each item, settlements first
-- ARGV  1 epoch the caller knows   2 number of settlements
--       then two an item: its idempotency key, and
--         settlement   the purse's committed state (gate 0: as it was), or '' where nothing was committed
--         reservation  'debit,gate,group,amount,count,amountMax,countMax,day|rest'; gate 0 any; group 0 none, 1 spending,
--                      2 withdrawal; day yyyymmdd; rest 'body,ms,keyDate,purseId' is kept for repeats and for the sweeper
-- A purse is 'epoch,<committed state>|debit,spentAmount,spentCount,withdrawnAmount,withdrawnCount', behind the bar what is reserved; the
-- committed state is 'version,gate,balance,day,spentAmount,spentCount,withdrawnAmount,withdrawnCount'.
-- Result -1: another epoch, nothing was done; else a list, a number a reservation:
--   0 reserved   1 kept: this key has reserved before with this body   2 this key has reserved before with another body
--   3 purse not here   4 gate   5 balance   6 the day's amount   7 the day's count
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local epoch, settlements, items = ARGV[1], tonumber(ARGV[2]), #KEYS - 2
if items == 0 then return {} end

local PURSE = '^(%d+),((%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+))|(%d+),(%d+),(%d+),(%d+),(%d+)$'
local STATE = '^(%d+),(%d+),((%d+),(%d+),(%d+),(%d+),(%d+),(%d+))$'
local AMOUNTS = '^(%d+),%d+,(%d+),(%d+),(%d+),'
local RESERVATION = '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)|(%-?%d+),'
local BODY = '|(%-?%d+),'
local format, match = string.format, string.match

local purse_keys, reservation_keys = {}, {}
for i = 1, items do
  purse_keys[i] = KEYS[i + 2]
  reservation_keys[i] = ARGV[2 * i + 1]
end
local purse_texts = redis.call('MGET', unpack(purse_keys))
local reservation_texts = redis.call('HMGET', KEYS[2], unpack(reservation_keys))

-- By key, because an item may find what an earlier one of this batch has left. `false` is absent.
local purses, reserved, changed_purses, changed_reservations = {}, {}, {}, {}
for i = 1, items do
  reserved[reservation_keys[i]] = reservation_texts[i]
  if purses[purse_keys[i]] == nil then
    local of_epoch, state, version, gate, balance, day, sa, sc, wa, wc, debit, psa, psc, pwa, pwc = match(purse_texts[i] or '', PURSE)
    purses[purse_keys[i]] = of_epoch == epoch and {
      state = state, version = tonumber(version), gate = gate, balance = tonumber(balance), day = tonumber(day),
      [1] = { tonumber(sa), tonumber(sc), tonumber(psa), tonumber(psc) }, [2] = { tonumber(wa), tonumber(wc), tonumber(pwa), tonumber(pwc) },
      debit = tonumber(debit),
    }
  end
end

local function settle(purse, key, text)
  local was_reserved = reserved[key]
  if was_reserved then
    reserved[key] = false
    changed_reservations[key] = true
  end
  if not purse then return false end
  if was_reserved then
    local debit, group, amount, count = match(was_reserved, AMOUNTS)
    purse.debit = math.max(0, purse.debit - tonumber(debit))
    local counter = purse[tonumber(group)]
    if counter then
      counter[3] = math.max(0, counter[3] - tonumber(amount))
      counter[4] = math.max(0, counter[4] - tonumber(count))
    end
  end
  local version, gate, rest, balance, day, sa, sc, wa, wc = match(text, STATE)
  if version and tonumber(version) > purse.version then
    if tonumber(gate) > tonumber(purse.gate) then purse.gate = gate end
    purse.state = version .. ',' .. purse.gate .. ',' .. rest
    purse.version, purse.balance, purse.day = tonumber(version), tonumber(balance), tonumber(day)
    purse[1][1], purse[1][2], purse[2][1], purse[2][2] = tonumber(sa), tonumber(sc), tonumber(wa), tonumber(wc)
  end
  return true
end

local function reserve(purse, key, text)
  local before = reserved[key]
  local debit, gate, group, amount, count, amount_max, count_max, day, body = match(text, RESERVATION)
  if before then return match(before, BODY) == body and 1 or 2 end
  if not purse then return 3 end
  if gate ~= '0' and purse.gate ~= gate then return 4 end
  debit = tonumber(debit)
  if purse.balance - purse.debit < debit then return 5 end
  local counter = purse[tonumber(group)]
  if counter then
    local today = purse.day >= tonumber(day)
    local pending_amount, pending_count = counter[3] + tonumber(amount), counter[4] + tonumber(count)
    if (today and counter[1] or 0) + pending_amount > tonumber(amount_max) then return 6 end
    if (today and counter[2] or 0) + pending_count > tonumber(count_max) then return 7 end
    counter[3], counter[4] = pending_amount, pending_count
  end
  purse.debit = purse.debit + debit
  reserved[key] = text
  changed_reservations[key] = true
  return 0
end

local results = {}
for i = 1, items do
  local purse, key, text = purses[purse_keys[i]], reservation_keys[i], ARGV[2 * i + 2]
  local changed
  if i <= settlements then
    changed = settle(purse, key, text)
  else
    results[i - settlements] = reserve(purse, key, text)
    changed = results[i - settlements] == 0
  end
  if changed then changed_purses[purse_keys[i]] = purse end
end

local writes = {}
for key, purse in pairs(changed_purses) do
  writes[#writes + 1] = key
  writes[#writes + 1] = format('%s,%s|%d,%d,%d,%d,%d', epoch, purse.state, purse.debit, purse[1][3], purse[1][4], purse[2][3], purse[2][4])
end
local made, gone = {}, {}
for key in pairs(changed_reservations) do
  if reserved[key] then
    made[#made + 1] = key
    made[#made + 1] = reserved[key]
  else
    gone[#gone + 1] = key
  end
end
if #writes > 0 then redis.call('MSET', unpack(writes)) end
if #made > 0 then redis.call('HSET', KEYS[2], unpack(made)) end
if #gone > 0 then redis.call('HDEL', KEYS[2], unpack(gone)) end
return results
