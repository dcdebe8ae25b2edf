-- Debits equal credits, unit by unit: what all other accounts have given is what the purses' own rows say they hold. One side comes
-- from the transfers, the other from the stored balances, so that neither can be changed alone.
--
-- Result: a row a unit (src/money.ts). No locks.
SELECT coalesce(t.unit, p.unit) AS unit, coalesce(t.debits, 0) AS debits, coalesce(t.credits, 0) AS credits,
  coalesce(t.given_by_others, 0) AS given_by_others, coalesce(p.in_purses, 0) AS in_purses,
  CASE
    WHEN coalesce(t.unit, p.unit) NOT BETWEEN 1 AND 4 THEN 'there is no such unit'
    WHEN t.debits IS DISTINCT FROM t.credits THEN 'debits and credits differ'
    WHEN coalesce(t.given_by_others, 0) <> coalesce(p.in_purses, 0) THEN 'the purses hold something else than the other accounts have given'
  END AS wrong
FROM (
    SELECT unit,
      sum(amount) FILTER (WHERE debit_code IN (1000, 1010, 2000, 2001, 2215, 2220, 2900)) AS debits,
      sum(amount) FILTER (WHERE credit_code IN (1000, 1010, 2000, 2001, 2215, 2220, 2900)) AS credits,
      coalesce(sum(amount) FILTER (WHERE debit_code NOT IN (2000, 2001)), 0)
        - coalesce(sum(amount) FILTER (WHERE credit_code NOT IN (2000, 2001)), 0) AS given_by_others
    FROM transfer GROUP BY unit
  ) t
  FULL JOIN (SELECT unit, sum(balance + held) AS in_purses FROM purse GROUP BY unit) p ON p.unit = t.unit
