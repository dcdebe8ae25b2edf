-- Each case has exactly the postings that its state says, of its purse and its original: what suspense lent (23), what was granted (24), what of the loan
-- was taken back (25). Whatever is posted of these kinds belongs to a case.
--
-- Keys: dispute-provisional|<case>, dispute|<case>, dispute-end|<case>.
-- Result: a row a case, and a row a posting that belongs to none. No locks.
SELECT coalesce(d.shard, a.shard) AS shard, coalesce(d.id::text, split_part(a.any_key, '|', 2)) AS dispute, d.state, d.claimed,
  d.provisional, a.lent, d.granted, a.credited, d.taken_back, a.ended,
  CASE
    WHEN d.id IS NULL THEN 'postings of a case that there is not'
    WHEN coalesce(d.provisional, 0) <> coalesce(a.lent, 0) THEN 'what was lent is not what the case says'
    WHEN coalesce(d.granted, 0) <> coalesce(a.credited, 0) THEN 'what was granted is not what was given back'
    WHEN coalesce(d.taken_back, 0) <> coalesce(a.ended, 0) THEN 'what was taken back of the loan is not what the case says'
    WHEN a.stray THEN 'its postings are of another purse or original'
    WHEN d.state = 'open' AND (a.credited IS NOT NULL OR a.ended IS NOT NULL) THEN 'it is open, and was decided'
    WHEN o.key IS NULL OR o.response_code NOT IN ('00', '10') OR o.purse_id <> d.purse_id OR o.approved < d.claimed
      THEN 'it claims what was not taken'
  END AS wrong
FROM dispute d
  LEFT JOIN "authorization" o ON o.shard = d.shard AND o.key_date = d.original_date AND o.key = d.original_key
  FULL JOIN (
    SELECT p.shard, split_part(p.key, '|', 2) AS dispute, min(p.key) AS any_key,
      sum(p.approved) FILTER (WHERE p.kind = 23 AND p.key = 'dispute-provisional|' || split_part(p.key, '|', 2)) AS lent,
      sum(p.approved) FILTER (WHERE p.kind = 24 AND p.key = 'dispute|' || split_part(p.key, '|', 2)) AS credited,
      sum(p.approved) FILTER (WHERE p.kind = 25 AND p.key = 'dispute-end|' || split_part(p.key, '|', 2)) AS ended,
      bool_or(c.id IS NULL OR p.purse_id <> c.purse_id OR p.original_key IS DISTINCT FROM c.original_key OR p.original_date IS DISTINCT FROM c.original_date
        OR p.key_date IS DISTINCT FROM CASE p.kind WHEN 23 THEN c.provisional_date ELSE c.decided_date END) AS stray
    FROM "authorization" p
      LEFT JOIN dispute c ON c.shard = p.shard AND c.id::text = split_part(p.key, '|', 2)
    WHERE p.kind IN (23, 24, 25)
    GROUP BY p.shard, split_part(p.key, '|', 2)
  ) a ON a.shard = d.shard AND a.dispute = d.id::text
