-- standInStop: a card is stopped while the ledger cannot be told. From the next look at it on it is refused, whichever process looks.
--
-- KEYS  1 epoch   2 flag: the shard is in stand-in (string: the epoch)   3 journals (hash: name -> 1)   4 stopped cards (hash: token -> report)
-- ARGV  1 epoch the caller knows   2 name of the journal   3 token   4 the report
-- Result -1: another epoch, nothing was done; else 0
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[2], 1)
redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
return 0
