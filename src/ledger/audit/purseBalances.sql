-- Each purse's balance is the sum of its transfers on its kind's account, what it holds back that on the account for it; neither is negative. Its
-- unit is its kind's. That no other purse's account is among its transfers is proved by transferAccounts.sql.
--
-- Result: a row a purse. No locks.
SELECT coalesce(p.shard, t.shard) AS shard, coalesce(p.id, t.purse_id) AS purse_id, p.kind,
  p.balance, coalesce(t.available, 0) AS balance_by_transfers, p.held, coalesce(t.held, 0) AS held_by_transfers,
  CASE
    WHEN p.id IS NULL THEN 'transfers of a purse that there is not'
    WHEN p.unit IS DISTINCT FROM k.unit THEN 'its unit is not that of its kind'
    WHEN p.balance < 0 OR p.held < 0 THEN 'negative'
    WHEN p.balance <> coalesce(t.available, 0) THEN 'the balance is not the sum of the transfers'
    WHEN p.held <> coalesce(t.held, 0) THEN 'what is held is not the sum of the transfers'
  END AS wrong
FROM purse p
  FULL JOIN (
    SELECT shard, purse_id,
      sum(CASE WHEN credit_code = ANY ((SELECT array_agg(account) FROM purse_kind)::smallint[]) THEN amount ELSE 0 END
        - CASE WHEN debit_code = ANY ((SELECT array_agg(account) FROM purse_kind)::smallint[]) THEN amount ELSE 0 END) AS available,
      sum(CASE WHEN credit_code = ANY ((SELECT array_agg(held_account) FROM purse_kind)::smallint[]) THEN amount ELSE 0 END
        - CASE WHEN debit_code = ANY ((SELECT array_agg(held_account) FROM purse_kind)::smallint[]) THEN amount ELSE 0 END) AS held
    FROM transfer GROUP BY shard, purse_id
  ) t ON t.shard = p.shard AND t.purse_id = p.id
  LEFT JOIN purse_kind k ON k.kind = p.kind
