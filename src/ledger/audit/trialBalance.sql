-- Debits equal credits, unit by unit: what all other accounts have given is what the purses' own rows say they hold. One side comes
-- from the transfers, the other from the stored balances, so that neither can be changed alone.
--
-- account: the chart (src/purse/chart.ts, config/programme.json; spec/ledger.md). Purses' accounts are those of their kinds; payers and outlets of
--   services to come have a place in their ranges.
-- Result: a row a unit. No locks.
WITH account (code, of_purses) AS (
  SELECT account, true FROM purse_kind
  UNION SELECT held_account, true FROM purse_kind WHERE held_account IS NOT NULL
  UNION SELECT code, false FROM (VALUES (1000), (1010), (2300), (2900), (4000), (9000), (9001), (9002), (9003)) AS single (code)
  UNION SELECT code, false FROM generate_series(1200, 1299) AS payer (code)
  UNION SELECT code, false FROM generate_series(2200, 2299) AS outlet (code)
)
SELECT coalesce(t.unit, p.unit) AS unit, u.name, coalesce(t.debits, 0) AS debits, coalesce(t.credits, 0) AS credits,
  coalesce(t.given_by_others, 0) AS given_by_others, coalesce(p.in_purses, 0) AS in_purses,
  CASE
    WHEN u.number IS NULL THEN 'there is no such unit'
    WHEN t.debits IS DISTINCT FROM t.credits THEN 'debits and credits differ'
    WHEN coalesce(t.given_by_others, 0) <> coalesce(p.in_purses, 0) THEN 'the purses hold something else than the other accounts have given'
  END AS wrong
FROM (
    SELECT m.unit,
      sum(m.amount) FILTER (WHERE d.code IS NOT NULL) AS debits,
      sum(m.amount) FILTER (WHERE c.code IS NOT NULL) AS credits,
      coalesce(sum(m.amount) FILTER (WHERE d.of_purses IS NOT TRUE), 0)
        - coalesce(sum(m.amount) FILTER (WHERE c.of_purses IS NOT TRUE), 0) AS given_by_others
    FROM (SELECT unit, debit_code, credit_code, sum(amount) AS amount FROM general_ledger GROUP BY unit, debit_code, credit_code) m
      LEFT JOIN account d ON d.code = m.debit_code
      LEFT JOIN account c ON c.code = m.credit_code
    GROUP BY m.unit
  ) t
  FULL JOIN (SELECT unit, sum(balance + held) AS in_purses FROM purse GROUP BY unit) p ON p.unit = t.unit
  LEFT JOIN unit u ON u.number = coalesce(t.unit, p.unit)
