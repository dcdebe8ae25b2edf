-- Each decision is consistent in itself: a decline or tombstone approves and posts nothing; an approval of an amount posts; a full approval is
-- of what was requested, a partial one (10) of less. A second purse moves only beside a first, and only for subsidised goods and their months.
-- Kinds are those of src/transaction/transaction.ts.
--
-- Result: a row a decision. No locks.
SELECT shard, key_date, key, kind, response_code, requested, approved, purse_id, purse_version, second_purse_id, second_version,
  CASE
    WHEN kind NOT BETWEEN 0 AND 25 THEN 'there is no such kind'
    WHEN kind = 0 AND response_code IN ('00', '10') THEN 'a tombstone approves'
    WHEN response_code NOT IN ('00', '10') AND (purse_version IS NOT NULL OR second_version IS NOT NULL OR approved <> 0 OR original_key IS NOT NULL)
      THEN 'a decline has posted'
    WHEN purse_version IS NOT NULL AND purse_id IS NULL THEN 'posted to no purse'
    WHEN second_version IS NOT NULL AND (purse_version IS NULL OR second_purse_id IS NULL OR second_purse_id = purse_id
      OR kind NOT IN (8, 10, 13, 16, 24)) THEN 'a second purse moved that had no part in it'
    WHEN approved < 0 OR quantity < 0 THEN 'the amount is negative'
    WHEN approved > 0 AND purse_version IS NULL THEN 'approved, and nothing posted'
    WHEN response_code = '10' AND (kind NOT IN (1, 2, 13) OR approved = 0 OR approved >= requested) THEN 'not a partial approval'
    -- 10 reversal: what is left to give back may be less, or nothing.
    WHEN response_code = '00' AND kind <> 10 AND approved <> requested THEN 'approved is not what was requested'
  END AS wrong
FROM "authorization"
