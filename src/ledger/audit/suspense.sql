-- Information, for whoever settles it: what suspense (account 2900) has lent to make postings possible that no purse covered, and what has
-- come back. Of entitlements the units that outlets handed out beyond them are told too: no account holds those.
--
-- Result: a row a unit. No locks.
SELECT unit, lent, come_back, lent - come_back AS open, NULL::text AS wrong
FROM (
  SELECT unit, sum(lent) AS lent, sum(come_back) AS come_back
  FROM (
    SELECT unit, CASE WHEN debit_code = 2900 THEN amount ELSE 0 END AS lent, CASE WHEN credit_code = 2900 THEN amount ELSE 0 END AS come_back
    FROM transfer WHERE debit_code = 2900 OR credit_code = 2900
    UNION ALL
    -- A reversal lends where it takes again what a refund gave.
    SELECT p.unit, CASE WHEN a.kind = 13 OR o.kind = 8 THEN a.from_suspense ELSE 0 END,
      CASE WHEN a.kind = 13 OR o.kind = 8 THEN 0 ELSE a.from_suspense END
    FROM "authorization" a
      JOIN purse p ON p.shard = a.shard AND p.id = a.purse_id AND p.kind <> 1
      LEFT JOIN "authorization" o ON o.shard = a.shard AND o.key_date = a.original_date AND o.key = a.original_key
    WHERE a.from_suspense IS NOT NULL
  ) each
  GROUP BY unit
) moved
