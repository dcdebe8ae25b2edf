-- Each approval that posted has its transfers, between accounts that fit its kind; together they come to what was approved, and what suspense
-- lent or took back is what the decision says. Each transfer belongs to such an approval.
--
-- rule: what a kind (src/transaction/transaction.ts) may move, debit to credit (src/decision/decide.ts, decideFollowUp.ts; spec/ledger.md).
--   `counts` is false for what is moved beside the approved amount: the rest of a hold that a completion frees.
-- Result: a row a posting. No locks.
WITH rule (kind, debit_code, credit_code, counts) AS (VALUES
  (1, 2000, 2220, true),
  (2, 2000, 2001, true),
  (3, 2001, 2220, true), (3, 2000, 2220, true), (3, 2900, 2220, true), (3, 2001, 2000, false),
  (4, 2000, 1010, true),
  (5, 1000, 2000, true),
  (6, 1000, 2000, true),
  (7, 2000, 2215, true),
  (8, 2220, 2000, true), (8, 2220, 2900, true),
  (10, 2220, 2000, true), (10, 2220, 2900, true), (10, 1010, 2000, true), (10, 2215, 2000, true), (10, 2001, 2000, true),
  (10, 2000, 1000, true), (10, 2900, 1000, true), (10, 2000, 2220, true), (10, 2900, 2220, true), (10, 2000, 2215, true),
  (10, 2900, 2215, true),
  (11, 2001, 2000, true),
  (12, 2215, 2000, true)
)
SELECT shard, key_date, purse_id, purse_version, key, kind, approved, transfers, moved, unfit, suspense, from_suspense,
  CASE
    WHEN kind IS NULL THEN 'transfers that no approval has posted'
    WHEN transfers = 0 THEN 'posted, but there are no transfers'
    WHEN unfit > 0 THEN 'accounts that do not fit the kind'
    WHEN moved <> approved THEN 'the transfers do not come to what was approved'
    WHEN suspense <> from_suspense THEN 'suspense was moved by something else than the decision says'
  END AS wrong
FROM (
  SELECT coalesce(a.shard, t.shard) AS shard, coalesce(a.key_date, t.key_date) AS key_date,
    coalesce(a.purse_id, t.purse_id) AS purse_id, coalesce(a.purse_version, t.purse_version) AS purse_version,
    min(a.key) AS key, min(a.kind) AS kind, min(a.approved) AS approved, coalesce(min(a.from_suspense), 0) AS from_suspense,
    count(t.amount) AS transfers,
    coalesce(sum(t.amount) FILTER (WHERE r.counts), 0) AS moved,
    count(t.amount) FILTER (WHERE r.counts IS NULL) AS unfit,
    coalesce(sum(t.amount) FILTER (WHERE t.debit_code = 2900 OR t.credit_code = 2900), 0) AS suspense
  FROM (SELECT * FROM "authorization" WHERE purse_version IS NOT NULL AND response_code IN ('00', '10')) a
    FULL JOIN transfer t ON t.shard = a.shard AND t.key_date = a.key_date AND t.purse_id = a.purse_id AND t.purse_version = a.purse_version
    LEFT JOIN rule r ON r.kind = a.kind AND r.debit_code = t.debit_code AND r.credit_code = t.credit_code
  GROUP BY 1, 2, 3, 4
) posted
