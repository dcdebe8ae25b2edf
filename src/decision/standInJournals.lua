-- standInJournals: tells which journals hold something and which no more. When no journal is left the shard is in stand-in no more: everything that was
-- remembered for it goes, but for the caps, which hold for their day. Answers stay until then: not every process may reach the ledger that has them.
--
-- KEYS  1 epoch   2 flag: the shard is in stand-in (string: the epoch)   3 journals (hash: name -> 1)   4.. what else goes at the end
-- ARGV  1 epoch the caller knows   2 JSON: names of journals that hold something   3 JSON: names of those that hold nothing any more
-- Result -1: another epoch, nothing was done; else how many journals hold something
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local holding, empty = cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
for _, name in ipairs(holding) do
  redis.call('SET', KEYS[2], ARGV[1])
  redis.call('HSET', KEYS[3], name, 1)
end
for _, name in ipairs(empty) do redis.call('HDEL', KEYS[3], name) end
local left = redis.call('HLEN', KEYS[3])
if left == 0 and #empty > 0 then redis.call('DEL', unpack(KEYS, 2)) end
return left
