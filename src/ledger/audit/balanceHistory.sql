-- After each posting the balances that the decision says (and that its answer told the holder) are the sum of the purse's transfers up to
-- then, and neither was ever negative.
--
-- Result: a row a posting. No locks.
SELECT shard, purse_id, purse_version, key, available_after, available_before + available_moved AS available, held_after,
  held_before + held_moved AS held,
  CASE
    WHEN available_after < 0 OR held_after < 0 THEN 'overdrawn'
    WHEN available_after IS DISTINCT FROM available_before + available_moved THEN 'the balance after the posting is not that before it and the transfers'
    WHEN held_after IS DISTINCT FROM held_before + held_moved THEN 'what was held after the posting is not that before it and the transfers'
  END AS wrong
FROM (
  SELECT a.shard, a.purse_id, a.purse_version, a.key, a.available_after, a.held_after, t.available_moved, t.held_moved,
    lag(a.available_after, 1, 0::bigint) OVER history AS available_before, lag(a.held_after, 1, 0::bigint) OVER history AS held_before
  FROM "authorization" a
    LEFT JOIN (
      SELECT shard, key_date, purse_id, purse_version,
        sum(CASE WHEN credit_code = 2000 THEN amount ELSE 0 END - CASE WHEN debit_code = 2000 THEN amount ELSE 0 END)::bigint AS available_moved,
        sum(CASE WHEN credit_code = 2001 THEN amount ELSE 0 END - CASE WHEN debit_code = 2001 THEN amount ELSE 0 END)::bigint AS held_moved
      FROM transfer GROUP BY shard, key_date, purse_id, purse_version
    ) t ON t.shard = a.shard AND t.key_date = a.key_date AND t.purse_id = a.purse_id AND t.purse_version = a.purse_version
  WHERE a.purse_version IS NOT NULL
  WINDOW history AS (PARTITION BY a.shard, a.purse_id ORDER BY a.purse_version)
) posted
