-- Each decision is consistent in itself: a decline or tombstone approves and posts nothing; an approval of an amount posts; a full approval is
-- of what was requested, a partial one (10) of less. Kinds are those of src/transaction/transaction.ts.
--
-- Result: a row a decision. No locks.
SELECT shard, key_date, key, kind, response_code, requested, approved, purse_id, purse_version,
  CASE
    WHEN kind NOT BETWEEN 0 AND 12 THEN 'there is no such kind'
    WHEN kind = 0 AND response_code IN ('00', '10') THEN 'a tombstone approves'
    WHEN response_code NOT IN ('00', '10') AND (purse_version IS NOT NULL OR approved <> 0 OR original_key IS NOT NULL)
      THEN 'a decline has posted'
    WHEN purse_version IS NOT NULL AND purse_id IS NULL THEN 'posted to no purse'
    WHEN approved < 0 THEN 'the amount is negative'
    WHEN approved > 0 AND purse_version IS NULL THEN 'approved, and nothing posted'
    WHEN response_code = '10' AND (kind NOT IN (1, 2) OR approved = 0 OR approved >= requested) THEN 'not a partial approval'
    -- 10 reversal: what is left to give back may be less, or nothing.
    WHEN response_code = '00' AND kind <> 10 AND approved <> requested THEN 'approved is not what was requested'
  END AS wrong
FROM "authorization"
