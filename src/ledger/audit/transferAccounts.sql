-- Each transfer has one debit and one credit account: both in the chart (src/purse/chart.ts, config/programme.json), not the same, each with an
-- owner that exists. Of purses' accounts it may have only those of its own posting's purse, in that purse's unit; money accounts are in
-- EGP (unit 1), and the accounts of entitlements (9000 on) never are.
--
-- Result: a row a transfer. No locks.
SELECT t.shard, t.purse_id, t.purse_version, t.ordinal, t.debit_code, t.debit_owner, t.credit_code, t.credit_owner, t.unit, t.amount,
  CASE
    WHEN t.amount <= 0 THEN 'the amount is not above zero'
    WHEN t.debit_code = t.credit_code AND t.debit_owner = t.credit_owner THEN 'debit and credit are the same account'
    WHEN p.id IS NULL THEN 'there is no such purse'
    WHEN k.kind IS NULL THEN 'there is no such kind of purse'
    WHEN (t.debit_code IN (k.account, k.held_account) OR t.credit_code IN (k.account, k.held_account)) AND t.unit <> k.unit
      THEN 'the unit is not the purse''s'
    WHEN t.unit <> 1 AND (t.debit_code IN (1000, 1010, 2300, 2900, 4000) OR t.debit_code BETWEEN 1200 AND 1299 OR t.debit_code BETWEEN 2200 AND 2299
        OR t.credit_code IN (1000, 1010, 2300, 2900, 4000) OR t.credit_code BETWEEN 1200 AND 1299 OR t.credit_code BETWEEN 2200 AND 2299)
      THEN 'money in another unit than EGP'
    WHEN t.unit = 1 AND (t.debit_code BETWEEN 9000 AND 9003 OR t.credit_code BETWEEN 9000 AND 9003) THEN 'entitlements in EGP'
    WHEN CASE
      WHEN t.debit_code IN (k.account, k.held_account) THEN t.debit_owner = t.purse_id
      WHEN t.debit_code BETWEEN 2200 AND 2299 THEN t.debit_owner IN (SELECT id FROM merchant)
      WHEN t.debit_code = 1010 THEN t.debit_owner IN (SELECT id FROM terminal)
      WHEN t.debit_code IN (1000, 2300, 2900, 4000) OR t.debit_code BETWEEN 1200 AND 1299 OR t.debit_code BETWEEN 9000 AND 9003 THEN t.debit_owner = 0
      ELSE false
    END IS NOT TRUE THEN 'there is no such debit account'
    WHEN CASE
      WHEN t.credit_code IN (k.account, k.held_account) THEN t.credit_owner = t.purse_id
      WHEN t.credit_code BETWEEN 2200 AND 2299 THEN t.credit_owner IN (SELECT id FROM merchant)
      WHEN t.credit_code = 1010 THEN t.credit_owner IN (SELECT id FROM terminal)
      WHEN t.credit_code IN (1000, 2300, 2900, 4000) OR t.credit_code BETWEEN 1200 AND 1299 OR t.credit_code BETWEEN 9000 AND 9003 THEN t.credit_owner = 0
      ELSE false
    END IS NOT TRUE THEN 'there is no such credit account'
  END AS wrong
FROM transfer t
  LEFT JOIN purse p ON p.shard = t.shard AND p.id = t.purse_id
  LEFT JOIN purse_kind k ON k.kind = p.kind
