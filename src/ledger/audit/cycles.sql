-- Months of purses that have them: each is opened once, in order and without gaps, under the key of its purse and month; what is left of the month
-- before is closed to the last unit, and becomes units of another purse at one rate for all. A purse is in the month that it was last opened for.
-- A day of it is drawn once: the days that are marked are those of the dispenses of the month that were not given back, each as a whole and
-- in that month.
--
-- Result: a row an opening, and a row a purse that has a month or marks. No locks.
WITH opening AS (
  SELECT a.shard, a.purse_id, a.key_date, a.key, a.purse_version, a.approved, a.available_after, p.kind, closed.amount AS closed,
    closed.code AS closing_code, coalesce(became.amount, 0) AS became,
    lag(a.key_date) OVER earlier AS month_before, max(a.purse_version) OVER (earlier ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS version_before
  FROM "authorization" a
    LEFT JOIN purse p ON p.shard = a.shard AND p.id = a.purse_id
    LEFT JOIN (
      SELECT shard, key_date, purse_id, purse_version, sum(amount) AS amount, max(credit_code) AS code
      FROM transfer WHERE credit_code IN (9002, 9003) GROUP BY shard, key_date, purse_id, purse_version
    ) closed ON closed.shard = a.shard AND closed.key_date = a.key_date AND closed.purse_id = a.purse_id AND closed.purse_version = a.purse_version
    LEFT JOIN (
      SELECT shard, key_date, purse_id, purse_version, sum(amount) AS amount
      FROM transfer WHERE debit_code = 9000 GROUP BY shard, key_date, purse_id, purse_version
    ) became ON became.shard = a.shard AND became.key_date = a.key_date AND became.purse_id = a.second_purse_id
      AND became.purse_version = a.second_version
  WHERE a.kind = 16 AND a.response_code = '00'
  WINDOW earlier AS (PARTITION BY a.shard, a.purse_id ORDER BY a.key_date)
),
-- The rate that most had, so that an example is the one that is wrong.
rate AS (
  SELECT DISTINCT ON (key_date, kind) key_date, kind, became / closed AS rate
  FROM opening WHERE closed > 0 AND closing_code = 9003 GROUP BY key_date, kind, became / closed ORDER BY key_date, kind, count(*) DESC
),
-- An opening that moved nothing is no posting. What the last posting of an earlier month left is found with its version.
unmoved AS (
  SELECT o.shard, o.purse_id, o.key_date, (max(ARRAY[v.purse_version, v.available_after]))[2] AS rest
  FROM opening o
    JOIN "authorization" v ON v.shard = o.shard AND v.purse_id = o.purse_id AND v.purse_version IS NOT NULL
      AND CASE v.kind WHEN 16 THEN v.key_date ELSE v.cycle END < o.key_date
  WHERE o.purse_version IS NULL GROUP BY o.shard, o.purse_id, o.key_date
),
latest AS (
  SELECT shard, purse_id, max(key_date) AS month FROM opening GROUP BY shard, purse_id
),
-- Given back at once as a whole, and in the month in which it was drawn: the marks of a refund or reversal are the days that it freed. The
-- reversal of a refund (10 that follows 8) draws them again.
freed AS (
  SELECT DISTINCT shard, original_date, original_key, cycle, approved, marks
  FROM "authorization" WHERE original_key IS NOT NULL AND kind IN (8, 10, 24) AND response_code = '00' AND marks <> 0
),
drawn AS (
  SELECT d.shard, d.purse_id, d.cycle, bit_or(d.marks) AS marks, sum(d.marks) AS sum_of_marks
  FROM "authorization" d
    LEFT JOIN freed f ON f.shard = d.shard AND f.original_date = d.key_date AND f.original_key = d.key AND f.cycle = d.cycle
      AND f.approved = d.approved AND f.marks = d.marks
    LEFT JOIN "authorization" o ON d.kind = 10 AND o.shard = d.shard AND o.key_date = d.original_date AND o.key = d.original_key
  WHERE (d.kind = 13 AND f.original_key IS NULL OR d.kind = 10 AND o.kind = 8) AND d.response_code IN ('00', '10') AND d.marks <> 0
  GROUP BY d.shard, d.purse_id, d.cycle
),
-- Over all months of a purse. Numbers of which no two have a bit in common add up to what they have set together.
days AS (
  SELECT shard, purse_id, bool_or(sum_of_marks <> marks) AS twice,
    bool_or(cycle IS NULL OR marks < 0 OR marks >> extract(day FROM cycle + interval '1 month - 1 day')::integer <> 0) AS beyond
  FROM drawn GROUP BY shard, purse_id
)
SELECT o.shard, o.purse_id, o.key_date AS month, o.key, o.closed, o.became, NULL::integer AS marks, NULL::integer AS drawn,
  CASE
    WHEN o.kind IS NULL THEN 'months of a purse that there is not'
    WHEN o.kind = 1 THEN 'cash has no months'
    WHEN extract(day FROM o.key_date) <> 1 OR o.key <> 'opening|' || to_char(o.key_date, 'YYYY-MM') || '|' || o.purse_id
      THEN 'its key is not that of its purse and month'
    WHEN o.key_date <> (o.month_before + interval '1 month')::date THEN 'it is not the month after the one before'
    WHEN o.purse_version <= o.version_before THEN 'months were not opened in their order'
    WHEN o.purse_version IS NULL AND u.rest <> 0 THEN 'what was left was not closed'
    WHEN o.purse_version IS NOT NULL AND o.available_after <> o.approved THEN 'what was closed is not what was left'
    WHEN o.closed IS NULL AND o.became > 0 THEN 'units come from nothing'
    WHEN o.closing_code <> 9003 AND o.became > 0 THEN 'units that expired became others too'
    WHEN o.closing_code = 9003 AND (mod(o.became, o.closed) <> 0 OR o.became = 0 OR o.became / o.closed <> r.rate)
      THEN 'what was left became others at another rate'
  END AS wrong
FROM opening o
  LEFT JOIN rate r ON r.key_date = o.key_date AND r.kind = o.kind
  LEFT JOIN unmoved u ON u.shard = o.shard AND u.purse_id = o.purse_id AND u.key_date = o.key_date
UNION ALL
SELECT p.shard, p.id, p.cycle, NULL, NULL, NULL, p.marks, coalesce(d.marks, 0),
  CASE
    -- Points have no month of their own; what they began with was issued in one.
    WHEN p.cycle IS DISTINCT FROM l.month AND NOT (p.kind = 4 AND p.cycle IS NULL) THEN 'it is not in the month that it was last opened for'
    WHEN a.beyond OR p.marks < 0 OR p.marks >> extract(day FROM p.cycle + interval '1 month - 1 day')::integer <> 0
      THEN 'a day is drawn that the month does not have'
    WHEN a.twice THEN 'a day is drawn twice'
    WHEN p.marks <> coalesce(d.marks, 0) THEN 'the days that are marked are not those that were drawn'
  END
FROM purse p
  LEFT JOIN latest l ON l.shard = p.shard AND l.purse_id = p.id
  LEFT JOIN drawn d ON d.shard = p.shard AND d.purse_id = p.id AND d.cycle = p.cycle
  LEFT JOIN days a ON a.shard = p.shard AND a.purse_id = p.id
WHERE p.cycle IS NOT NULL OR p.marks <> 0 OR l.month IS NOT NULL OR a.purse_id IS NOT NULL
