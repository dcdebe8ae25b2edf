-- reserve: settles finished reservations and makes new ones, for a whole batch in one atomic step. No policy: every number it compares
-- was decided outside. Everything is read in two commands, worked out in local tables, and written in three at the end: Lua does not roll
-- back. Numbers come as JSON and are kept packed, because taking text apart is what Lua is slow at.
--
-- KEYS  1 epoch   2 reservations (hash: idempotency key -> what it reserved)   3 flag: the shard is in stand-in (string: the epoch)
--       4.. the purse of each item, settlements first
-- ARGV  1 epoch the caller knows   2 JSON: the settlements   3 JSON: the reservations, each item a list that begins with its idempotency key
--         settlement   { key, purseId } where nothing was committed, or { key, purseId, version, gate (0: as it was), balance, day,
--                      spentAmount, spentCount, withdrawnAmount, withdrawnCount, marks } with the committed state, or
--                      { key, purseId, version, change of balance }, which counts on the version before it only
--         reservation  { key, debit, gate (0: any), group (0 none, 1 spending, 2 withdrawal), amount, count, amountMax, countMax, day,
--                      marks, ms, keyDate, purseId, body, 1 (not while the shard is in stand-in) or 0 }; days and dates are yyyymmdd, marks are bits
-- A purse is PURSE: epoch, the committed state, and what is reserved: debit, spentAmount, spentCount, withdrawnAmount, withdrawnCount, marks.
-- A reservation is RESERVATION: debit, group, amount, count, marks, ms, keyDate, purseId, body.
-- Result -1: another epoch, nothing was done; else a list, a number a reservation:
--   0 reserved   1 kept: this key has reserved before with this body   2 this key has reserved before with another body
--   3 purse not here   4 gate   5 balance   6 the day's amount   7 the day's count   8 a mark is set   9 the shard is in stand-in
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local PURSE, RESERVATION = '<dddddddddddddddd', '<dddddddds'
local EPOCH, VERSION, GATE, BALANCE, DAY, MARKS, DEBIT, MARKS_RESERVED = 1, 2, 3, 4, 5, 10, 11, 16
-- By group: where the day's committed amount is (its count behind it), and where what is reserved of it.
local COMMITTED, PENDING = { 6, 8 }, { 12, 14 }
local epoch, settlements, reservations = tonumber(ARGV[1]), cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local settled, items = #settlements, #settlements + #reservations
if items == 0 then return {} end

local purse_keys, keys = {}, {}
for i = 1, items do
  purse_keys[i] = KEYS[i + 3]
  keys[i] = (i <= settled and settlements[i] or reservations[i - settled])[1]
end
local purse_texts = redis.call('MGET', unpack(purse_keys))
local reservation_texts = redis.call('HMGET', KEYS[2], unpack(keys))

local stand_in
for i = 1, #reservations do
  if reservations[i][15] == 1 and stand_in == nil then stand_in = redis.call('GET', KEYS[3]) == ARGV[1] end
end

-- By key, because an item may find what an earlier one of this batch has left. `false` is absent.
local purses, reserved, changed_purses, changed_reservations = {}, {}, {}, {}
for i = 1, items do
  reserved[keys[i]] = reservation_texts[i]
  if purses[purse_keys[i]] == nil then
    local purse = purse_texts[i] and { struct.unpack(PURSE, purse_texts[i]) }
    purses[purse_keys[i]] = purse and purse[EPOCH] == epoch and purse
  end
end

local function settle(purse, key, item)
  local debit, group, amount, count, marks, _, _, purse_id
  if reserved[key] then
    debit, group, amount, count, marks, _, _, purse_id = struct.unpack(RESERVATION, reserved[key])
  end
  -- Another card's message may have taken the same key: its settlement ends no reservation but its own.
  local was_reserved = purse_id == item[2]
  if was_reserved then
    reserved[key] = false
    changed_reservations[key] = true
  end
  if not purse then return false end
  if was_reserved then
    purse[DEBIT] = math.max(0, purse[DEBIT] - debit)
    if marks ~= 0 then purse[MARKS_RESERVED] = bit.band(purse[MARKS_RESERVED], bit.bnot(marks)) end
    local at = PENDING[group]
    if at then
      purse[at] = math.max(0, purse[at] - amount)
      purse[at + 1] = math.max(0, purse[at + 1] - count)
    end
  end
  if #item == 4 then
    if item[3] == purse[VERSION] + 1 then
      purse[VERSION] = item[3]
      purse[BALANCE] = purse[BALANCE] + item[4]
    end
  elseif item[3] and item[3] > purse[VERSION] then
    local gate = math.max(purse[GATE], item[4])
    for i = VERSION, DEBIT - 1 do purse[i] = item[i + 1] end
    purse[GATE] = gate
  end
  return true
end

local function reserve(purse, key, item)
  local before = reserved[key]
  if before then
    local _, _, _, _, _, _, _, _, body = struct.unpack(RESERVATION, before)
    return body == item[14] and 1 or 2
  end
  if stand_in and item[15] == 1 then return 9 end
  if not purse then return 3 end
  local debit, gate, group, marks = item[2], item[3], item[4], item[10]
  if gate ~= 0 and purse[GATE] ~= gate then return 4 end
  if purse[BALANCE] - purse[DEBIT] < debit then return 5 end
  if marks ~= 0 and bit.band(bit.bor(purse[MARKS], purse[MARKS_RESERVED]), marks) ~= 0 then return 8 end
  local at = PENDING[group]
  if at then
    local today, committed = purse[DAY] >= item[9], COMMITTED[group]
    local amount, count = purse[at] + item[5], purse[at + 1] + item[6]
    if (today and purse[committed] or 0) + amount > item[7] then return 6 end
    if (today and purse[committed + 1] or 0) + count > item[8] then return 7 end
    purse[at], purse[at + 1] = amount, count
  end
  purse[DEBIT] = purse[DEBIT] + debit
  if marks ~= 0 then purse[MARKS_RESERVED] = bit.bor(purse[MARKS_RESERVED], marks) end
  reserved[key] = struct.pack(RESERVATION, debit, group, item[5], item[6], marks, item[11], item[12], item[13], item[14])
  changed_reservations[key] = true
  return 0
end

local results = {}
for i = 1, items do
  local purse_key, key = purse_keys[i], keys[i]
  local purse = purses[purse_key]
  if i <= settled then
    if settle(purse, key, settlements[i]) then changed_purses[purse_key] = purse end
  else
    local result = reserve(purse, key, reservations[i - settled])
    results[i - settled] = result
    if result == 0 then changed_purses[purse_key] = purse end
  end
end

local writes, made, gone = {}, {}, {}
for key, purse in pairs(changed_purses) do
  writes[#writes + 1] = key
  writes[#writes + 1] = struct.pack(PURSE, unpack(purse, 1, 16))
end
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
