-- What completes, refunds, reverses or releases an earlier approval has one, of the same purses and of a kind that it may follow. All that is
-- given back, to purse and to suspense, in money and in units, is at most what the original took, and in its proportions; the accounts are the
-- original's; an authorization is completed at most once, and a refund is not taken back
-- once what it refunded was reversed itself, or given back by a dispute, after it.
--
-- rule: which kind may follow which (src/decision/decideFollowUp.ts). 8 refund, 10 reversal, 12 and 17 refund of a payment and of a co-pay give
--   back, and so does a dispute that was granted (24); 23 is what suspense lends until it is decided, 25 what of that was taken back; of the fee of a card (19) 20 gives back and 21 earns, one of the two. Which accounts a kind moves on which purse is proved by postings.sql.
-- Result: a row an original that something follows. No locks.
WITH rule (kind, original) AS (VALUES
  (3, 2), (8, 1), (8, 3), (8, 13), (12, 7), (11, 2), (17, 15),
  (20, 19), (21, 19),
  (23, 1), (23, 3), (23, 4), (23, 7), (25, 1), (25, 3), (25, 4), (25, 7),
  (24, 1), (24, 3), (24, 4), (24, 7), (24, 13), (24, 15),
  (10, 1), (10, 2), (10, 3), (10, 4), (10, 5), (10, 6), (10, 7), (10, 8), (10, 9), (10, 12), (10, 13), (10, 15), (10, 17)
),
-- The account on the other side than the purse, suspense and who pays for it: merchant, outlet, payee, machine or bank; and what it got or gave.
contra AS (
  SELECT shard, key_date, purse_id, purse_version, min(account) AS account, sum(amount) FILTER (WHERE account IS NOT NULL) AS amount
  FROM (
    SELECT shard, key_date, purse_id, purse_version, amount,
      CASE WHEN debit_code IN (1000, 1010) OR debit_code BETWEEN 2200 AND 2299 THEN debit_code * 1000000000000 + debit_owner
        WHEN credit_code IN (1000, 1010) OR credit_code BETWEEN 2200 AND 2299 THEN credit_code * 1000000000000 + credit_owner END AS account
    FROM transfer
  ) sides
  GROUP BY shard, key_date, purse_id, purse_version
),
following AS (
  SELECT a.shard, a.purse_id, a.key, a.key_date, a.purse_version, a.kind, a.approved, a.quantity, a.from_suspense, a.original_date, a.original_key,
    a.second_purse_id, o.key IS NOT NULL AS original_there, o.response_code AS original_code, o.kind AS original_kind,
    o.purse_id AS original_purse, o.second_purse_id AS original_second, o.approved AS original_approved, o.quantity AS original_quantity,
    o.from_suspense AS original_from_suspense, o.key_date AS o_key_date, o.purse_version AS o_version,
    a.kind = 10 AND a.approved > 0 AND o.kind IN (8, 12, 17) AND EXISTS (
      SELECT FROM "authorization" v
      WHERE v.shard = o.shard AND v.purse_id = o.purse_id AND v.original_key = o.original_key AND v.original_date = o.original_date
        AND v.kind IN (10, 24) AND v.event_number > o.event_number AND v.event_number < a.event_number
    ) AS charged_again
  FROM "authorization" a
    LEFT JOIN "authorization" o ON o.shard = a.shard AND o.key_date = a.original_date AND o.key = a.original_key
  WHERE a.original_key IS NOT NULL
),
-- A refund that was reversed has given back that much less.
reversed AS (
  SELECT shard, original_date AS key_date, original_key AS key, sum(approved) AS approved, coalesce(sum(quantity), 0) AS quantity,
    coalesce(sum(from_suspense), 0) AS from_suspense
  FROM following WHERE kind = 10 GROUP BY shard, original_date, original_key
)
SELECT shard, original_date AS key_date, original_key AS key, original_kind AS kind, original_approved AS approved,
  original_quantity AS quantity, given_back, given_back_quantity, completions,
  CASE
    WHEN NOT original_there THEN 'the original is not there'
    WHEN original_code NOT IN ('00', '10') THEN 'the original is not an approval'
    WHEN foreign_purse THEN 'it follows another purse''s transaction'
    WHEN unfit THEN 'a kind follows that may not'
    WHEN charged_again THEN 'a refund is taken back of what was reversed after it'
    WHEN completions > 1 THEN 'completed more than once'
    WHEN given_back > original_approved THEN 'more is given back than was taken'
    WHEN original_kind IN (1, 3, 4, 7, 13, 15) AND given_back_to_suspense > original_from_suspense + provisional
      THEN 'more is given back to suspense than it lent'
    WHEN provisional < 0 THEN 'more of a provisional credit is taken back than was lent'
    WHEN other_account THEN 'it comes from another account than the original went to'
    -- Loaves are whole and have one price; of a bill the parts are rounded, and come to the holder's part with the last of it.
    WHEN CASE original_kind
      WHEN 13 THEN NOT lapsed AND given_back_quantity * original_approved <> given_back * original_quantity
      WHEN 15 THEN abs(given_back_quantity * original_approved - given_back * original_quantity)
        >= CASE WHEN given_back = original_approved THEN 1 ELSE 2 * original_approved END
    END THEN 'what is given back is not in proportion'
    WHEN other_worth THEN 'the outlet gives back something else than it got'
  END AS wrong
FROM (
  SELECT f.shard, f.original_date, f.original_key, bool_and(f.original_there) AS original_there, min(f.original_code) AS original_code,
    min(f.original_kind) AS original_kind, min(f.original_approved) AS original_approved, min(f.original_quantity) AS original_quantity,
    coalesce(min(f.original_from_suspense), 0) AS original_from_suspense,
    bool_or(f.purse_id IS DISTINCT FROM f.original_purse OR f.second_purse_id IS DISTINCT FROM f.original_second) AS foreign_purse,
    bool_or(r.kind IS NULL) AS unfit,
    bool_or(f.charged_again) AS charged_again,
    count(*) FILTER (WHERE f.kind = 3) AS completions,
    coalesce(sum(f.approved - coalesce(v.approved, 0)) FILTER (WHERE f.kind IN (8, 10, 12, 17, 20, 21, 24)), 0) AS given_back,
    coalesce(sum(coalesce(f.quantity, 0) - coalesce(v.quantity, 0)) FILTER (WHERE f.kind IN (8, 10, 12, 17, 24)), 0) AS given_back_quantity,
    coalesce(sum(CASE f.kind WHEN 23 THEN f.approved WHEN 25 THEN -f.approved END), 0) AS provisional,
    -- Counted goods that came back after their month: their quantity is none (postings.sql).
    coalesce(bool_or(f.quantity = 0 AND f.approved > 0), false) AS lapsed,
    coalesce(sum(greatest(coalesce(f.from_suspense, 0) - coalesce(v.from_suspense, 0), 0)) FILTER (WHERE f.kind IN (8, 10, 12, 17, 24)), 0)
      AS given_back_to_suspense,
    coalesce(bool_or(f.kind IN (8, 10, 12, 17, 20, 24) AND f.purse_version IS NOT NULL AND c.account IS DISTINCT FROM oc.account), false)
      AS other_account,
    coalesce(bool_or(f.original_kind IN (13, 15) AND f.purse_version IS NOT NULL
      AND coalesce(c.amount, 0) * f.original_approved <> coalesce(oc.amount, 0) * f.approved), false) AS other_worth
  FROM following f
    LEFT JOIN rule r ON r.kind = f.kind AND r.original = f.original_kind
    LEFT JOIN reversed v ON f.kind IN (8, 12, 17) AND v.shard = f.shard AND v.key_date = f.key_date AND v.key = f.key
    LEFT JOIN contra c ON c.shard = f.shard AND c.key_date = f.key_date AND c.purse_id = f.purse_id AND c.purse_version = f.purse_version
    LEFT JOIN contra oc
      ON oc.shard = f.shard AND oc.key_date = f.o_key_date AND oc.purse_id = f.original_purse AND oc.purse_version = f.o_version
  GROUP BY f.shard, f.original_date, f.original_key
) followed
