-- What treasury and fund are told they owe is what the ledger has moved against their accounts, day by day; and what they are said to have paid is what was received, each
-- receipt once, and never more of a claim than it is.
--
-- Result: a row a payer and closed day, a receipt, and a claim of which something is paid. No locks.
SELECT 'day' AS what, coalesce(c.day, l.day)::text AS day, coalesce(c.payer_code, l.payer_code) AS payer, NULL::text AS key, c.amount AS told, l.amount AS in_ledger,
  CASE WHEN coalesce(c.amount, 0) <> coalesce(l.amount, 0) THEN 'the claims of the day are not what the ledger has moved' END AS wrong
FROM (SELECT shard, day, payer_code, sum(amount) AS amount FROM claim GROUP BY 1, 2, 3) c
  FULL JOIN (
    SELECT d.shard, d.day, CASE WHEN g.debit_code BETWEEN 1200 AND 1299 THEN g.debit_code ELSE g.credit_code END AS payer_code,
      sum(CASE WHEN g.debit_code BETWEEN 1200 AND 1299 THEN g.amount ELSE -g.amount END) AS amount
    FROM general_ledger g JOIN business_day d ON d.shard = g.shard AND g.event_number > d.after AND g.event_number <= d.until AND d.closed_at IS NOT NULL
    WHERE (g.debit_code BETWEEN 1200 AND 1299 OR g.credit_code BETWEEN 1200 AND 1299) AND 1000 NOT IN (g.debit_code, g.credit_code)
    GROUP BY 1, 2, 3
  ) l ON l.shard = c.shard AND l.day = c.day AND l.payer_code = c.payer_code
UNION ALL
SELECT 'receipt', coalesce(r.received_on::text, ''), coalesce(r.payer_code, t.payer_code), coalesce(r.key, t.key), p.paid, t.amount,
  CASE
    WHEN r.key IS NULL THEN 'money was received of a payer, and is of no claim'
    WHEN t.amount IS DISTINCT FROM r.amount OR t.payer_code <> r.payer_code THEN 'the receipt is not what was posted'
    WHEN p.paid IS DISTINCT FROM r.amount THEN 'what was paid of claims is not what was received'
  END
FROM claim_receipt r
  FULL JOIN (
    SELECT shard, key, max(credit_code) AS payer_code, sum(amount) AS amount FROM book_transfer
    WHERE debit_code = 1000 AND credit_code BETWEEN 1200 AND 1299 GROUP BY 1, 2
  ) t ON t.shard = r.shard AND t.key = r.key
  LEFT JOIN (SELECT shard, key, sum(amount) AS paid FROM claim_payment GROUP BY 1, 2) p ON p.shard = r.shard AND p.key = r.key
UNION ALL
SELECT 'claim', c.day::text, c.payer_code, concat_ws(' ', c.service, c.governorate), p.paid, c.amount,
  CASE WHEN p.paid NOT BETWEEN LEAST(c.amount, 0) AND GREATEST(c.amount, 0) THEN 'more is paid of the claim than it is' END
FROM claim c
  JOIN (SELECT shard, day, payer_code, service, governorate, sum(amount) AS paid FROM claim_payment GROUP BY 1, 2, 3, 4, 5) p
    ON p.shard = c.shard AND p.day = c.day AND p.payer_code = c.payer_code AND p.service = c.service AND p.governorate = c.governorate
