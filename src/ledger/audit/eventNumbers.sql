-- A decision's transfers have its event number, on both legs; those of an opening, which is told to nobody, share one. By it they belong to a business day.
--
-- Result: a row a transfer. No locks.
SELECT a.shard, a.key_date, a.key, a.event_number, t.event_number AS of_transfer,
  CASE WHEN t.event_number <> a.event_number THEN 'not the event number of its decision' END AS wrong
FROM "authorization" a
  JOIN transfer t ON t.shard = a.shard AND t.key_date = a.key_date AND t.purse_id = a.purse_id AND t.purse_version = a.purse_version
WHERE a.event_number IS NOT NULL
UNION ALL
SELECT a.shard, a.key_date, a.key, a.event_number, t.event_number,
  CASE WHEN t.event_number <> a.event_number THEN 'not the event number of its decision' END
FROM "authorization" a
  JOIN transfer t ON t.shard = a.shard AND t.key_date = a.key_date AND t.purse_id = a.second_purse_id AND t.purse_version = a.second_version
WHERE a.event_number IS NOT NULL
UNION ALL
SELECT a.shard, a.key_date, a.key, t.event_number, s.event_number,
  CASE WHEN t.event_number <> s.event_number THEN 'an opening has two event numbers' END
FROM "authorization" a
  JOIN transfer t ON t.shard = a.shard AND t.key_date = a.key_date AND t.purse_id = a.purse_id AND t.purse_version = a.purse_version
  JOIN transfer s ON s.shard = a.shard AND s.key_date = a.key_date AND s.purse_id = a.second_purse_id AND s.purse_version = a.second_version
WHERE a.event_number IS NULL
