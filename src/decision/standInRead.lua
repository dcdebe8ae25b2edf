-- standInRead: what stand-in has answered under keys, which cards were stopped, and how many wrong PINs of a card it has told of. Changes nothing.
--
-- KEYS  1 epoch   2 answers (hash: idempotency key -> record)   3 stopped cards (hash: token -> report)   4 wrong PINs (hash: token -> count)
-- ARGV  1 epoch the caller knows   2 how many keys there are   3.. the keys, then tokens
-- Result -1: another epoch; else a list, an element a key, then a token, then a token again: the record, the report, the count as text, else an empty string
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local keys, found = tonumber(ARGV[2]), {}
for i = 3, #ARGV do
  found[i - 2] = redis.call('HGET', i - 2 <= keys and KEYS[2] or KEYS[3], ARGV[i]) or ''
end
for i = 3 + keys, #ARGV do
  found[#found + 1] = redis.call('HGET', KEYS[4], ARGV[i]) or ''
end
return found
