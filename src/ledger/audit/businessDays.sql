-- Business days follow each other without a gap, in dates and in event numbers, so that every transfer up to the last cut belongs to exactly one of them; they are
-- closed in their order; and the books at the end of each are those of the day before and what it moved, in balance unit by unit.
--
-- Result: a row a day. No locks.
SELECT day, after, until,
  CASE
    WHEN day <> before_day + 1 THEN 'a day is missing before it'
    WHEN before_until IS NULL AND before_day IS NOT NULL THEN 'the day before is open'
    WHEN after <> coalesce(before_until, 0) THEN 'its numbers do not begin where those of the day before end'
    WHEN closed_at IS NOT NULL AND before_day IS NOT NULL AND before_closed IS NULL THEN 'it was closed before the day before'
    WHEN until IS NULL AND day < last_day THEN 'it is open, and there are later ones'
    WHEN closed_at IS NOT NULL AND EXISTS (
      SELECT FROM day_total t WHERE t.shard = d.shard AND t.day = d.day GROUP BY t.unit HAVING sum(t.debits) <> sum(t.credits) OR sum(t.balance) <> 0
    ) THEN 'debits and credits differ'
    WHEN closed_at IS NOT NULL AND EXISTS (
      SELECT FROM (SELECT * FROM day_total WHERE shard = d.shard AND day = d.day) t
        FULL JOIN (SELECT * FROM day_total WHERE shard = d.shard AND day = d.before_day) b USING (unit, code)
      WHERE t.balance IS DISTINCT FROM coalesce(b.balance, 0) + t.debits - t.credits
    ) THEN 'its balances do not go on from those of the day before'
  END AS wrong
FROM (
  SELECT *, lag(day) OVER w AS before_day, lag(until) OVER w AS before_until, lag(closed_at) OVER w AS before_closed,
    max(day) OVER (PARTITION BY shard) AS last_day
  FROM business_day WINDOW w AS (PARTITION BY shard ORDER BY day)
) d
