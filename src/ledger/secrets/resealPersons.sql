-- Puts national IDs and mobiles that were sealed again with another key in the place of the old ones. A row that somebody changed since it was read
-- keeps what it has; one that somebody is changing is waited for.
--
-- $1 text: name of the new key. $2 smallint[], $3 bigint[]: shard and id of each person. $4, $5 bytea[]: national ID and mobile that were read.
-- $6, $7 bytea[]: the new ones. Mobiles are null where a person has none.
-- Result: as many rows as were replaced.
-- Locks: the rows, ORDER BY shard, person_id FOR NO KEY UPDATE, so that two rotations cannot wait for each other in a circle.
WITH given AS (
  SELECT * FROM unnest($2::smallint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[])
    AS g (shard, person_id, old_national_id, old_mobile, new_national_id, new_mobile)
), unchanged AS MATERIALIZED (
  SELECT p.shard, p.person_id, given.new_national_id, given.new_mobile
  FROM person_secret p JOIN given ON p.shard = given.shard AND p.person_id = given.person_id
    AND p.national_id = given.old_national_id AND p.mobile IS NOT DISTINCT FROM given.old_mobile
  ORDER BY p.shard, p.person_id FOR NO KEY UPDATE OF p
)
UPDATE person_secret p SET key_id = $1, national_id = unchanged.new_national_id, mobile = unchanged.new_mobile
FROM unchanged WHERE p.shard = unchanged.shard AND p.person_id = unchanged.person_id
