-- What an outlet has earned on a closed day, on each of its accounts, is what the transfers with the day's event numbers have moved there, payouts left out: each transfer is
-- settled exactly once.
--
-- Result: a row a day, outlet and account. No locks.
SELECT coalesce(l.day, p.day) AS day, coalesce(l.merchant_id, p.merchant_id) AS merchant_id, coalesce(l.code, p.code) AS code, l.net AS moved, p.net AS position,
  CASE WHEN coalesce(l.net, 0) <> coalesce(p.net, 0) THEN 'not what the outlet has earned' END AS wrong
FROM (
    SELECT d.shard, d.day, m.merchant_id, m.code, sum(m.amount) AS net
    FROM (
      SELECT shard, event_number, credit_owner AS merchant_id, credit_code AS code, amount FROM general_ledger WHERE credit_code BETWEEN 2200 AND 2299
      UNION ALL
      SELECT shard, event_number, debit_owner, debit_code, -amount FROM general_ledger WHERE debit_code BETWEEN 2200 AND 2299 AND credit_code <> 1000
    ) m
      JOIN business_day d ON d.shard = m.shard AND m.event_number > d.after AND m.event_number <= d.until AND d.closed_at IS NOT NULL
    GROUP BY 1, 2, 3, 4
  ) l
  FULL JOIN outlet_position p ON p.shard = l.shard AND p.day = l.day AND p.merchant_id = l.merchant_id AND p.code = l.code
