-- Each transfer has one debit and one credit account: both in the chart (src/purse/chart.ts), not the same, each with an owner that
-- exists; the purse's own accounts belong to the purse that the posting is of, and the unit is the purse's.
--
-- Result: a row a transfer. No locks.
SELECT t.shard, t.purse_id, t.purse_version, t.ordinal, t.debit_code, t.debit_owner, t.credit_code, t.credit_owner, t.unit, t.amount,
  CASE
    WHEN t.amount <= 0 THEN 'the amount is not above zero'
    WHEN t.debit_code = t.credit_code AND t.debit_owner = t.credit_owner THEN 'debit and credit are the same account'
    WHEN p.id IS NULL THEN 'there is no such purse'
    WHEN t.unit <> p.unit THEN 'the unit is not the purse''s'
    WHEN CASE
      WHEN t.debit_code IN (2000, 2001) THEN t.debit_owner = t.purse_id
      WHEN t.debit_code IN (2215, 2220) THEN t.debit_owner IN (SELECT id FROM merchant)
      WHEN t.debit_code = 1010 THEN t.debit_owner IN (SELECT id FROM terminal)
      WHEN t.debit_code IN (1000, 2900) THEN t.debit_owner = 0
      ELSE false
    END IS NOT TRUE THEN 'there is no such debit account'
    WHEN CASE
      WHEN t.credit_code IN (2000, 2001) THEN t.credit_owner = t.purse_id
      WHEN t.credit_code IN (2215, 2220) THEN t.credit_owner IN (SELECT id FROM merchant)
      WHEN t.credit_code = 1010 THEN t.credit_owner IN (SELECT id FROM terminal)
      WHEN t.credit_code IN (1000, 2900) THEN t.credit_owner = 0
      ELSE false
    END IS NOT TRUE THEN 'there is no such credit account'
  END AS wrong
FROM transfer t LEFT JOIN purse p ON p.shard = t.shard AND p.id = t.purse_id
