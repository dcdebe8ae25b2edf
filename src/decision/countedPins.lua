-- countedPins: notes what the ledger's count of a card's wrong PINs came to, for a batch in one atomic step: it is known here before the card itself is
-- read again, and holds only until it is. No policy: versions and counts were worked out outside.
--
-- KEYS  1 epoch   2.. of each note what is known of its card (string 'epoch:version of the card:count')
-- ARGV  1 epoch the caller knows   2 how long it is kept, milliseconds
--       3 JSON: the notes, each a list { version of the card it was decided on, version since, count since, 1 (one more, on top of what is known) or 0 }
-- Result -1: another epoch, nothing was done; else how many there were
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local notes = cjson.decode(ARGV[3])
for i, note in ipairs(notes) do
  local version, count = note[2], note[3]
  local epoch, known_version, known_count = string.match(redis.call('GET', KEYS[i + 1]) or '', '^(%d+):(%d+):(%d+)$')
  known_version, known_count = tonumber(known_version), tonumber(known_count)
  -- What is known of a card that is no newer than the one decided on is in that one.
  if epoch == ARGV[1] and known_version > note[1] then
    if note[4] == 1 then
      version, count = known_version + 1, known_count + 1
    else
      version, count = math.max(known_version, version), math.max(known_count, count)
    end
  end
  redis.call('SET', KEYS[i + 1], string.format('%s:%d:%d', ARGV[1], version, count), 'PX', ARGV[2])
end
return #notes
