-- ledgerSeen: says that a process reaches the ledger, or asks whether another one has said so a short while ago.
--
-- KEYS  1 epoch   2 who has said so last (string: the name of a process)
-- ARGV  1 epoch the caller knows   2 name of the calling process   3 how long its word holds, milliseconds; 0: it asks
-- Result -1: another epoch, nothing was done; 1 another process has said so; 0 none has
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
if ARGV[3] ~= '0' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) return 0 end
local name = redis.call('GET', KEYS[2])
return name and name ~= ARGV[2] and 1 or 0
