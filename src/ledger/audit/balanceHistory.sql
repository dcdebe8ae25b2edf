-- After each posting the balances that the decision says (and that its answer told the holder) are the sum of the purse's transfers up to
-- then, and neither was ever negative. What a purse holds back is not told of a decision's second purse, which never changes it.
--
-- Result: a row a posting, two of a decision that moved a second purse. No locks.
SELECT shard, purse_id, purse_version, key, leg, available_after, available_before + available_moved AS available, held_after, held,
  CASE
    WHEN available_after < 0 OR held < 0 OR held_after < 0 THEN 'overdrawn'
    WHEN available_after IS DISTINCT FROM available_before + available_moved THEN 'the balance after the posting is not that before it and the transfers'
    WHEN leg = 1 AND held_after IS DISTINCT FROM held THEN 'what was held after the posting is not that before it and the transfers'
    WHEN leg = 2 AND held_moved <> 0 THEN 'a second purse holds something back'
  END AS wrong
FROM (
  SELECT a.shard, a.purse_id, a.purse_version, a.key, a.leg, a.available_after, a.held_after, t.available_moved, t.held_moved,
    lag(a.available_after, 1, 0::bigint) OVER history AS available_before, sum(t.held_moved) OVER history AS held
  FROM purse_posting a
    LEFT JOIN (
      SELECT shard, key_date, purse_id, purse_version,
        sum(CASE WHEN credit_code = ANY ((SELECT array_agg(account) FROM purse_kind)::smallint[]) THEN amount ELSE 0 END
          - CASE WHEN debit_code = ANY ((SELECT array_agg(account) FROM purse_kind)::smallint[]) THEN amount ELSE 0 END)::bigint AS available_moved,
        sum(CASE WHEN credit_code = ANY ((SELECT array_agg(held_account) FROM purse_kind)::smallint[]) THEN amount ELSE 0 END
          - CASE WHEN debit_code = ANY ((SELECT array_agg(held_account) FROM purse_kind)::smallint[]) THEN amount ELSE 0 END)::bigint AS held_moved
      FROM transfer GROUP BY shard, key_date, purse_id, purse_version
    ) t ON t.shard = a.shard AND t.key_date = a.key_date AND t.purse_id = a.purse_id AND t.purse_version = a.purse_version
  WINDOW history AS (PARTITION BY a.shard, a.purse_id ORDER BY a.purse_version)
) posted
