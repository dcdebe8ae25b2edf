-- One decision a key, over all partitions. A terminal's key holds no year (ISO 8583-1:1987 DE 7), so the same text may come again after one:
-- rows that are closer are two decisions of one message.
--
-- Result: a row a key. No locks.
SELECT shard, key, decisions, first_date, last_date,
  CASE
    WHEN decisions = 2 AND last_date - first_date < 365 THEN 'decided more than once'
    WHEN decisions > 2 AND EXISTS (
      SELECT 1 FROM "authorization" a
        JOIN "authorization" b ON b.shard = a.shard AND b.key = a.key AND b.key_date >= a.key_date AND (b.tableoid, b.ctid) <> (a.tableoid, a.ctid)
      WHERE a.shard = counted.shard AND a.key = counted.key AND b.key_date - a.key_date < 365
    ) THEN 'decided more than once'
  END AS wrong
FROM (
  SELECT shard, key, count(*) AS decisions, min(key_date) AS first_date, max(key_date) AS last_date
  FROM "authorization" GROUP BY shard, key
) counted
