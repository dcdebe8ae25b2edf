-- The totals of each terminal are those of the ledger up to the number where adding up has come to (migrations/0014_reconciliation.sql).
--
-- Result: a row a terminal that has totals, or should have. No locks.
SELECT coalesce(t.shard, l.shard) AS shard, coalesce(t.acquirer, l.acquirer) AS acquirer, coalesce(t.terminal_id, l.terminal_id) AS terminal_id,
  t.totals, l.totals AS in_ledger,
  CASE WHEN t.totals IS DISTINCT FROM l.totals THEN 'the totals are not those of the ledger' END AS wrong
FROM terminal_total t
  FULL JOIN (
    SELECT shard, acquirer, terminal_id, ARRAY[
      count(*) FILTER (WHERE class = 'C'), count(*) FILTER (WHERE class = 'RC'), count(*) FILTER (WHERE class = 'D'), count(*) FILTER (WHERE class = 'RD'),
      0, 0, count(*) FILTER (WHERE class = 'I'), count(*) FILTER (WHERE class = 'A'), 0, 0, 0, 0,
      coalesce(sum(approved) FILTER (WHERE class = 'C'), 0)::bigint, coalesce(sum(approved) FILTER (WHERE class = 'RC'), 0)::bigint,
      coalesce(sum(approved) FILTER (WHERE class = 'D'), 0)::bigint, coalesce(sum(approved) FILTER (WHERE class = 'RD'), 0)::bigint] AS totals
    FROM (
      SELECT a.shard, split_part(a.key, '|', 1) AS acquirer, a.terminal_id, a.approved,
        CASE
          WHEN a.kind IN (5, 6, 8, 12, 17) THEN 'C'
          WHEN a.kind IN (1, 3, 4, 7, 13, 15) THEN 'D'
          WHEN a.kind IN (9, 14) THEN 'I'
          WHEN a.kind = 2 THEN 'A'
          WHEN a.kind = 10 AND a.approved > 0 THEN CASE WHEN o.kind IN (5, 6, 8, 12, 17) THEN 'RC' WHEN o.kind IN (1, 3, 4, 7, 13, 15) THEN 'RD' END
        END AS class
      FROM "authorization" a
        JOIN total_progress p ON p.shard = a.shard AND a.event_number <= p.until
        LEFT JOIN "authorization" o ON a.kind = 10 AND o.shard = a.shard AND o.key_date = a.original_date AND o.key = a.original_key
      WHERE a.response_code IN ('00', '10') AND a.terminal_id IS NOT NULL
    ) decided
    GROUP BY 1, 2, 3
  ) l ON l.shard = t.shard AND l.acquirer = t.acquirer AND l.terminal_id = t.terminal_id
