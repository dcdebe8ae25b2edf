-- What a day has moved is what the ledger has moved with the day's event numbers, from account to account. One side comes from the transfers, the other from what was added up
-- when they came. Its books, and what payers owe for it by service and governorate, are what it has moved.
--
-- Days are found by their numbers: width_bucket is a binary search, where a join would compare each transfer with each day.
-- Result: a row a day, unit and pair of accounts; one a closed day, unit and account; one a closed day, payer, service and governorate. No locks.
SELECT coalesce(l.day, f.day) AS day, coalesce(l.unit, f.unit) AS unit, coalesce(l.debit_code, f.debit_code) AS debit_code,
  coalesce(l.credit_code, f.credit_code) AS credit_code, l.amount AS moved, f.amount AS added_up,
  CASE WHEN l.amount IS DISTINCT FROM f.amount OR l.transfers IS DISTINCT FROM f.transfers THEN 'not what the ledger has moved' END AS wrong
FROM (
    SELECT g.shard, b.days[width_bucket(g.event_number - 1, b.afters)] AS day, g.unit, g.debit_code, g.credit_code, sum(g.amount) AS amount, count(*) AS transfers
    FROM general_ledger g
      JOIN day_progress p ON p.shard = g.shard AND g.event_number <= p.until
      JOIN (SELECT shard, array_agg(after ORDER BY day) AS afters, array_agg(day ORDER BY day) AS days FROM business_day GROUP BY shard) b ON b.shard = g.shard
    GROUP BY 1, 2, 3, 4, 5
  ) l
  FULL JOIN (
    SELECT shard, day, unit, debit_code, credit_code, sum(amount) AS amount, sum(transfers) AS transfers FROM day_flow GROUP BY 1, 2, 3, 4, 5
  ) f ON f.shard = l.shard AND f.day = l.day AND f.unit = l.unit AND f.debit_code = l.debit_code AND f.credit_code = l.credit_code
UNION ALL
SELECT coalesce(f.day, t.day), coalesce(f.unit, t.unit), coalesce(f.code, t.code), NULL, f.debits, t.debits,
  CASE WHEN coalesce(f.debits, 0) <> coalesce(t.debits, 0) OR coalesce(f.credits, 0) <> coalesce(t.credits, 0) THEN 'the books are not what it has moved' END
FROM (
    SELECT m.shard, m.day, m.unit, m.code, sum(m.debits) AS debits, sum(m.credits) AS credits
    FROM (
      SELECT shard, day, unit, debit_code AS code, amount AS debits, 0 AS credits FROM day_flow
      UNION ALL SELECT shard, day, unit, credit_code, 0, amount FROM day_flow
    ) m
      JOIN business_day d ON d.shard = m.shard AND d.day = m.day AND d.closed_at IS NOT NULL
    GROUP BY 1, 2, 3, 4
  ) f
  FULL JOIN day_total t ON t.shard = f.shard AND t.day = f.day AND t.unit = f.unit AND t.code = f.code
UNION ALL
SELECT coalesce(f.day, c.day), 1, coalesce(f.payer_code, c.payer_code), NULL, f.amount, c.amount,
  CASE WHEN coalesce(f.amount, 0) <> coalesce(c.amount, 0) THEN 'not what was sold on behalf of the payer'
    WHEN coalesce(u.units, 0) <> coalesce(c.units, 0) THEN 'not the units that were sold on behalf of the payer' END
FROM (
    SELECT m.shard, m.day, m.payer_code, m.service, m.governorate, sum(m.amount) AS amount
    FROM (
      SELECT shard, day, debit_code AS payer_code, service, governorate, amount FROM day_flow WHERE debit_code BETWEEN 1200 AND 1299 AND credit_code <> 1000
      UNION ALL
      SELECT shard, day, credit_code, service, governorate, -amount FROM day_flow WHERE credit_code BETWEEN 1200 AND 1299 AND debit_code <> 1000
    ) m
      JOIN business_day d ON d.shard = m.shard AND d.day = m.day AND d.closed_at IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
  ) f
  FULL JOIN claim c
    ON c.shard = f.shard AND c.day = f.day AND c.payer_code = f.payer_code AND c.service = f.service AND c.governorate = f.governorate
  LEFT JOIN (
    SELECT f.shard, f.day, k.kind AS service, f.governorate, sum(CASE WHEN f.debit_code = k.account THEN f.amount ELSE -f.amount END) AS units
    FROM day_flow f JOIN purse_kind k ON k.unit = f.unit AND (f.debit_code = k.account AND f.credit_code = 9001 OR f.debit_code = 9001 AND f.credit_code = k.account)
    WHERE f.unit <> 1
    GROUP BY 1, 2, 3, 4
  ) u ON u.shard = c.shard AND u.day = c.day AND u.service = c.service AND u.governorate = c.governorate
