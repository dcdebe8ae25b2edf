-- epoch: tells Redis the epoch that the ledger has given it. Reservations of older epochs, and what stand-in kept, are dropped; an epoch
-- never goes back.
--
-- KEYS  1 epoch   2.. what goes: reservations, and all that begins with standin but for the caps
-- ARGV  1 the new epoch
-- Result the epoch that holds now
local known = redis.call('GET', KEYS[1])
if known and tonumber(known) >= tonumber(ARGV[1]) then return tonumber(known) end
redis.call('DEL', unpack(KEYS, 2))
redis.call('SET', KEYS[1], ARGV[1])
return tonumber(ARGV[1])
