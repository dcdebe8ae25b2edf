-- standIn: decides what stand-in tells, for a batch, one item after the other, in one atomic step: a key that is known gets what was answered; else, if the
-- guards hold, the answer is remembered, the journal is named as one that holds something, and an approval sets aside what it takes from its purse, like
-- reserve.lua. No policy: every number it compares was decided outside. Of each item everything is read before anything is written.
--
-- KEYS  1 epoch   2 reservations (hash, see reserve.lua)   3 flag: the shard is in stand-in (string: the epoch)   4 journals (hash: name -> 1)
--       5 answers (hash: idempotency key -> record)   6 stopped cards (hash: token -> report)   7 transaction counters used (hash: token|counter -> 1)
--       8 wrong PINs (hash: token -> count)
--       9.. of each item its purse, its cap (string: what was approved of it), and what the ledger's count of its card's wrong PINs came to (countedPins.lua)
-- ARGV  1 epoch the caller knows   2 name of the journal   3 how long a cap lives, seconds   4 JSON: the items, each a list
--         { key, body, token, counter (-1: none), PIN (0 nothing is told of one, 1 right, 2 wrong), wrong PINs before, PINs that block,
--           version of the card that says how many before, approves (1, or 0: the rest says nothing), cap's part, cap's ceiling, debit, gate (0: any), marks, ms, keyDate yyyymmdd, purseId }
--       5.. the record of each item, as text
-- Result -1: another epoch, nothing was done; else a list, an element an item: the record (text) where the key was known; else a number
--   0 remembered   1 the card is stopped   2 the counter was used   3 no PIN is told of any more   4 cap   5 purse not here   6 gate
--   7 balance   8 balance or a mark, by what is only reserved   9 a mark is set   10 the key is reserved already
local epoch_text = ARGV[1]
if redis.call('GET', KEYS[1]) ~= epoch_text then return -1 end
local PURSE, RESERVATION = '<dddddddddddddddd', '<dddddddds' -- see reserve.lua
local GATE, BALANCE, MARKS, DEBIT, MARKS_RESERVED = 3, 4, 10, 11, 16
local epoch, items = tonumber(epoch_text), cjson.decode(ARGV[4])

local function enter()
  redis.call('SET', KEYS[3], epoch_text)
  redis.call('HSET', KEYS[4], ARGV[2], 1)
end

-- Wrong PINs that the ledger has counted, by the later word of the two.
local function counted(item, pins_key)
  local known_epoch, version, count = string.match(redis.call('GET', pins_key) or '', '^(%d+):(%d+):(%d+)$')
  return known_epoch == epoch_text and tonumber(version) > item[8] and tonumber(count) or item[6]
end

local function decide(item, record, purse_key, cap_key, pins_key)
  local key, body, token, counter, pin = item[1], item[2], item[3], item[4], item[5]
  local known = redis.call('HGET', KEYS[5], key)
  if known then
    -- Whoever tells it again writes it down again: where the first to do so died, nobody else has it.
    enter()
    return known
  end
  if redis.call('HEXISTS', KEYS[2], key) == 1 then return 10 end
  local approves = item[9] == 1
  if approves and redis.call('HEXISTS', KEYS[6], token) == 1 then return 1 end
  if counter >= 0 and redis.call('HEXISTS', KEYS[7], token .. '|' .. counter) == 1 then return 2 end
  if pin ~= 0 and counted(item, pins_key) + tonumber(redis.call('HGET', KEYS[8], token) or 0) >= item[7] then return 3 end
  local purse
  if approves then
    if tonumber(redis.call('GET', cap_key) or 0) + item[10] > item[11] then return 4 end
    local text = redis.call('GET', purse_key)
    purse = text and { struct.unpack(PURSE, text) }
    if not purse or purse[1] ~= epoch then return 5 end
    local debit, gate, marks = item[12], item[13], item[14]
    if gate ~= 0 and purse[GATE] ~= gate then return 6 end
    if purse[BALANCE] < debit then return 7 end
    if bit.band(purse[MARKS], marks) ~= 0 then return 9 end
    if purse[BALANCE] - purse[DEBIT] < debit or bit.band(purse[MARKS_RESERVED], marks) ~= 0 then return 8 end
    purse[DEBIT] = purse[DEBIT] + debit
    purse[MARKS_RESERVED] = bit.bor(purse[MARKS_RESERVED], marks)
  end
  enter()
  redis.call('HSET', KEYS[5], key, record)
  if counter >= 0 then redis.call('HSET', KEYS[7], token .. '|' .. counter, 1) end
  if pin == 2 then redis.call('HINCRBY', KEYS[8], token, 1) end
  if approves then
    redis.call('INCRBY', cap_key, item[10])
    redis.call('EXPIRE', cap_key, ARGV[3])
    redis.call('SET', purse_key, struct.pack(PURSE, unpack(purse, 1, 16)))
    redis.call('HSET', KEYS[2], key, struct.pack(RESERVATION, item[12], 0, 0, 0, item[14], item[15], item[16], item[17], body))
  end
  return 0
end

local results = {}
for i, item in ipairs(items) do results[i] = decide(item, ARGV[i + 4], KEYS[6 + 3 * i], KEYS[7 + 3 * i], KEYS[8 + 3 * i]) end
return results
