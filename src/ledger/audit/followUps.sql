-- What completes, refunds, reverses or releases an earlier approval has one, of the same purse and of a kind that it may follow. All that is
-- given back, to purse and to suspense, is at most what the original took; the accounts are the original's; an authorization is completed
-- at most once.
--
-- rule: which kind may follow which (src/decision/decideFollowUp.ts). 8 refund, 10 reversal and 12 refund of a payment give back.
-- Result: a row an original that something follows. No locks.
WITH rule (kind, original) AS (VALUES
  (3, 2), (8, 1), (8, 3), (12, 7), (11, 2),
  (10, 1), (10, 2), (10, 3), (10, 4), (10, 5), (10, 6), (10, 7), (10, 8), (10, 9), (10, 12)
),
-- The account on the other side than the purse and suspense: merchant, payee, machine or bank.
contra AS (
  SELECT shard, key_date, purse_id, purse_version,
    min(CASE WHEN debit_code NOT IN (2000, 2001, 2900) THEN debit_code * 1000000000000 + debit_owner
      WHEN credit_code NOT IN (2000, 2001, 2900) THEN credit_code * 1000000000000 + credit_owner END) AS account
  FROM transfer GROUP BY shard, key_date, purse_id, purse_version
),
following AS (
  SELECT a.shard, a.purse_id, a.key, a.key_date, a.purse_version, a.kind, a.approved, a.from_suspense, a.original_date, a.original_key,
    o.key IS NOT NULL AS original_there, o.response_code AS original_code, o.kind AS original_kind, o.purse_id AS original_purse,
    o.approved AS original_approved, o.from_suspense AS original_from_suspense, o.key_date AS o_key_date, o.purse_version AS o_version
  FROM "authorization" a
    LEFT JOIN "authorization" o ON o.shard = a.shard AND o.key_date = a.original_date AND o.key = a.original_key
  WHERE a.original_key IS NOT NULL
),
-- A refund that was reversed has given back that much less.
reversed AS (
  SELECT shard, original_date AS key_date, original_key AS key, sum(approved) AS approved, coalesce(sum(from_suspense), 0) AS from_suspense
  FROM following WHERE kind = 10 GROUP BY shard, original_date, original_key
)
SELECT shard, original_date AS key_date, original_key AS key, original_kind AS kind, original_approved AS approved, given_back, completions,
  CASE
    WHEN NOT original_there THEN 'the original is not there'
    WHEN original_code NOT IN ('00', '10') THEN 'the original is not an approval'
    WHEN foreign_purse THEN 'it follows another purse''s transaction'
    WHEN unfit THEN 'a kind follows that may not'
    WHEN completions > 1 THEN 'completed more than once'
    WHEN given_back > original_approved THEN 'more is given back than was taken'
    WHEN original_kind IN (1, 3, 4, 7) AND given_back_to_suspense > original_from_suspense THEN 'more is given back to suspense than it lent'
    WHEN other_account THEN 'it comes from another account than the original went to'
  END AS wrong
FROM (
  SELECT f.shard, f.original_date, f.original_key, bool_and(f.original_there) AS original_there, min(f.original_code) AS original_code,
    min(f.original_kind) AS original_kind, min(f.original_approved) AS original_approved,
    coalesce(min(f.original_from_suspense), 0) AS original_from_suspense,
    bool_or(f.purse_id IS DISTINCT FROM f.original_purse) AS foreign_purse, bool_or(r.kind IS NULL) AS unfit,
    count(*) FILTER (WHERE f.kind = 3) AS completions,
    coalesce(sum(f.approved - coalesce(v.approved, 0)) FILTER (WHERE f.kind IN (8, 10, 12)), 0) AS given_back,
    coalesce(sum(greatest(coalesce(f.from_suspense, 0) - coalesce(v.from_suspense, 0), 0)) FILTER (WHERE f.kind IN (8, 10, 12)), 0)
      AS given_back_to_suspense,
    coalesce(bool_or(f.kind IN (8, 10, 12) AND f.purse_version IS NOT NULL AND c.account IS DISTINCT FROM oc.account), false) AS other_account
  FROM following f
    LEFT JOIN rule r ON r.kind = f.kind AND r.original = f.original_kind
    LEFT JOIN reversed v ON f.kind IN (8, 12) AND v.shard = f.shard AND v.key_date = f.key_date AND v.key = f.key
    LEFT JOIN contra c ON c.shard = f.shard AND c.key_date = f.key_date AND c.purse_id = f.purse_id AND c.purse_version = f.purse_version
    LEFT JOIN contra oc
      ON oc.shard = f.shard AND oc.key_date = f.o_key_date AND oc.purse_id = f.original_purse AND oc.purse_version = f.o_version
  GROUP BY f.shard, f.original_date, f.original_key
) followed
