-- What a day has moved is what the ledger has moved with the day's event numbers, from account to account; and what treasury and fund owe for it is that. One side comes from
-- the transfers, the other from what was added up when they came.
--
-- Result: a row a day, unit and pair of accounts, and one a day and payer. No locks.
SELECT coalesce(l.day, f.day) AS day, coalesce(l.unit, f.unit) AS unit, coalesce(l.debit_code, f.debit_code) AS debit_code,
  coalesce(l.credit_code, f.credit_code) AS credit_code, l.amount AS moved, f.amount AS added_up,
  CASE WHEN l.amount IS DISTINCT FROM f.amount OR l.transfers IS DISTINCT FROM f.transfers THEN 'not what the ledger has moved' END AS wrong
FROM (
    SELECT d.shard, d.day, g.unit, g.debit_code, g.credit_code, sum(g.amount) AS amount, count(*) AS transfers
    FROM general_ledger g
      JOIN day_progress p ON p.shard = g.shard AND g.event_number <= p.until
      JOIN business_day d ON d.shard = g.shard AND g.event_number > d.after AND (d.until IS NULL OR g.event_number <= d.until)
    GROUP BY 1, 2, 3, 4, 5
  ) l
  FULL JOIN (
    SELECT shard, day, unit, debit_code, credit_code, sum(amount) AS amount, sum(transfers) AS transfers FROM day_flow GROUP BY 1, 2, 3, 4, 5
  ) f ON f.shard = l.shard AND f.day = l.day AND f.unit = l.unit AND f.debit_code = l.debit_code AND f.credit_code = l.credit_code
UNION ALL
SELECT coalesce(l.day, c.day), 1, coalesce(l.payer_code, c.payer_code), NULL, l.amount, c.amount,
  CASE WHEN coalesce(l.amount, 0) <> coalesce(c.amount, 0) THEN 'not what was sold on behalf of the payer' END
FROM (
    SELECT d.shard, d.day, m.code AS payer_code, sum(m.amount) AS amount
    FROM (
      SELECT shard, event_number, debit_code AS code, amount FROM general_ledger WHERE debit_code BETWEEN 1200 AND 1299 AND credit_code <> 1000
      UNION ALL
      SELECT shard, event_number, credit_code, -amount FROM general_ledger WHERE credit_code BETWEEN 1200 AND 1299 AND debit_code <> 1000
    ) m
      JOIN business_day d ON d.shard = m.shard AND m.event_number > d.after AND m.event_number <= d.until AND d.closed_at IS NOT NULL
    GROUP BY 1, 2, 3
  ) l
  FULL JOIN (SELECT shard, day, payer_code, sum(amount) AS amount FROM claim GROUP BY 1, 2, 3) c
    ON c.shard = l.shard AND c.day = l.day AND c.payer_code = l.payer_code
