-- The postings of a purse, on whichever leg of a decision, are exactly the versions 1 to its version: none is missing, none is there twice, none
-- is left over.
--
-- Result: a row a purse. No locks.
SELECT coalesce(p.shard, a.shard) AS shard, coalesce(p.id, a.purse_id) AS purse_id, p.version,
  coalesce(a.postings, 0) AS postings, a.first, a.last, coalesce(a.different, 0) AS different,
  CASE
    WHEN p.id IS NULL THEN 'postings of a purse that there is not'
    WHEN coalesce(a.different, 0) < coalesce(a.postings, 0) THEN 'a version is there twice'
    WHEN p.version <> coalesce(a.postings, 0) OR a.first <> 1 OR a.last <> p.version THEN 'versions are missing or left over'
  END AS wrong
FROM purse p
  FULL JOIN (
    SELECT shard, purse_id, count(*) AS postings, min(purse_version) AS first, max(purse_version) AS last,
      count(DISTINCT purse_version) AS different
    FROM purse_posting GROUP BY shard, purse_id
  ) a ON a.shard = p.shard AND a.purse_id = p.id
