-- The day's counters of a purse never fall below zero, however much of the day is given back.
--
-- Result: a row a purse. No locks.
SELECT shard, id AS purse_id, day, spent_amount, spent_count, withdrawn_amount, withdrawn_count,
  CASE WHEN least(spent_amount, spent_count, withdrawn_amount, withdrawn_count) < 0 THEN 'a counter is negative' END AS wrong
FROM purse
