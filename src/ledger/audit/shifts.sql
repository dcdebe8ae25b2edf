-- Each shift that was closed is what lies between its cut and the one before, its cuts only grow, shifts have no gaps, and 00 was said only of totals that agree.
--
-- Result: a row a shift. No locks.
SELECT shard, acquirer, terminal_id, shift, response_code, ours, theirs,
  CASE
    WHEN shift <> place THEN 'a shift is missing'
    WHEN ours <> add_totals(until, ARRAY(SELECT -x FROM unnest(before) WITH ORDINALITY AS b(x, ord) ORDER BY ord)) THEN 'it is not what lies between its cuts'
    WHEN 0 > ANY (ours) THEN 'totals went down'
    WHEN response_code = '00' AND ours <> theirs THEN 'in balance was said of totals that differ'
  END AS wrong
FROM (
  SELECT r.*, row_number() OVER w AS place, lag(until) OVER w AS before
  FROM reconciliation r WINDOW w AS (PARTITION BY shard, acquirer, terminal_id ORDER BY shift)
) s
