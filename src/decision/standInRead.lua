-- standInRead: what stand-in has answered under keys, and which cards were stopped. Changes nothing.
--
-- KEYS  1 epoch   2 answers (hash: idempotency key -> record)   3 stopped cards (hash: token -> report)
-- ARGV  1 epoch the caller knows   2 how many keys there are   3.. the keys, then tokens
-- Result -1: another epoch; else a list, an element a key and then a token: the record or the report as text, else an empty string
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local keys, found = tonumber(ARGV[2]), {}
for i = 3, #ARGV do
  found[i - 2] = redis.call('HGET', i - 2 <= keys and KEYS[2] or KEYS[3], ARGV[i]) or ''
end
return found
