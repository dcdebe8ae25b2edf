-- What a purse holds back is what is left of its holds.
--
-- Result: a row a purse that holds something back or has an open hold. No locks.
SELECT coalesce(p.shard, h.shard) AS shard, coalesce(p.id, h.purse_id) AS purse_id, p.held, coalesce(h.remaining, 0) AS remaining_of_holds,
  CASE
    WHEN p.id IS NULL AND NOT EXISTS (SELECT 1 FROM purse q WHERE q.shard = h.shard AND q.id = h.purse_id) THEN 'holds of a purse that there is not'
    WHEN coalesce(p.held, 0) <> coalesce(h.remaining, 0) THEN 'what is held is not what is left of the holds'
  END AS wrong
FROM (SELECT shard, id, held FROM purse WHERE held <> 0) p
  FULL JOIN (SELECT shard, purse_id, sum(remaining) AS remaining FROM hold WHERE remaining <> 0 GROUP BY shard, purse_id) h
    ON h.shard = p.shard AND h.purse_id = p.id
