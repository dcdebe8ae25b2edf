-- Information, for whoever settles it: what suspense (account 2900) has lent to make postings possible that no purse covered, and what has
-- come back.
--
-- Result: a row a unit. No locks.
SELECT unit, lent, come_back, lent - come_back AS open, NULL::text AS wrong
FROM (
  SELECT unit, coalesce(sum(amount) FILTER (WHERE debit_code = 2900), 0) AS lent,
    coalesce(sum(amount) FILTER (WHERE credit_code = 2900), 0) AS come_back
  FROM transfer WHERE debit_code = 2900 OR credit_code = 2900 GROUP BY unit
) moved
