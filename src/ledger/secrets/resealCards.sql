-- Puts card numbers that were sealed again with another key in the place of the old ones. A row that somebody changed since it was read keeps what
-- it has; one that somebody is changing is waited for.
--
-- $1 text: name of the new key. $2 smallint[], $3 text[]: shard and token of each card. $4 bytea[]: the value that was read. $5 bytea[]: the new one.
-- Result: as many rows as were replaced.
-- Locks: the rows, ORDER BY shard, token FOR NO KEY UPDATE, so that two rotations cannot wait for each other in a circle.
WITH given AS (
  SELECT * FROM unnest($2::smallint[], $3::text[], $4::bytea[], $5::bytea[]) AS g (shard, token, old_pan, new_pan)
), unchanged AS MATERIALIZED (
  SELECT c.shard, c.token, given.new_pan
  FROM card_secret c JOIN given ON c.shard = given.shard AND c.token = given.token AND c.pan = given.old_pan
  ORDER BY c.shard, c.token FOR NO KEY UPDATE OF c
)
UPDATE card_secret c SET key_id = $1, pan = unchanged.new_pan
FROM unchanged WHERE c.shard = unchanged.shard AND c.token = unchanged.token
