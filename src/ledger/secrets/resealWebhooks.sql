-- Puts secrets of webhooks that were sealed again with another key in the place of the old ones. A row that somebody changed since it was read keeps
-- what it has; one that somebody is changing is waited for.
--
-- $1 text: name of the new key. $2 smallint[], $3 text[]: shard and id of each webhook. $4 bytea[]: the value that was read. $5 bytea[]: the new one.
-- Result: as many rows as were replaced.
-- Locks: the rows, ORDER BY shard, id FOR NO KEY UPDATE, so that two rotations cannot wait for each other in a circle.
WITH given AS (
  SELECT * FROM unnest($2::smallint[], $3::text[], $4::bytea[], $5::bytea[]) AS g (shard, id, old_secret, new_secret)
), unchanged AS MATERIALIZED (
  SELECT w.shard, w.id, given.new_secret
  FROM webhook w JOIN given ON w.shard = given.shard AND w.id = given.id AND w.secret = given.old_secret
  ORDER BY w.shard, w.id FOR NO KEY UPDATE OF w
)
UPDATE webhook w SET key_id = $1, secret = unchanged.new_secret
FROM unchanged WHERE w.shard = unchanged.shard AND w.id = unchanged.id
