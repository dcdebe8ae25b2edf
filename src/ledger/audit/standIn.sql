-- What was told in stand-in, while the ledger could not be reached: requests for goods of a household alone, on a card at a terminal; approved whole or not at
-- all; no cash moved; posted once, under its own key or by force under another; and what a purse was approved on a Cairo day is within its cap.
--
-- $1: caps as JSON, a row a kind of purse: amount_max in piasters, or days_max; none: caps are not looked at.
-- Result: a row a decision. No locks.
SELECT s.shard, s.key_date, s.key, s.response_code, s.stood_in_at, s.purse_id, s.amount, s.drawn,
  CASE
    WHEN s.kind <> 13 OR s.mti / 10 % 10 <> 0 THEN 'no request that goes on in stand-in'
    WHEN s.card_token IS NULL OR s.terminal_id IS NULL THEN 'of no card, or at no terminal'
    WHEN s.response_code = '10' THEN 'a part was approved'
    WHEN s.second_version IS NOT NULL THEN 'a second purse moved'
    WHEN s.response_code = '00' AND s.key LIKE '%|F' AND EXISTS (
      SELECT FROM "authorization" f
      WHERE f.shard = s.shard AND f.key_date = s.key_date AND f.key = left(s.key, -2) AND f.body = s.body AND f.response_code IN ('00', '10')
    ) THEN 'posted under its own key and by force'
    WHEN s.amount > c.amount_max OR s.drawn > c.days_max THEN 'more than the cap of the day'
  END AS wrong
FROM (
  SELECT a.*, sum(a.approved) OVER day AS amount, count(*) OVER day AS drawn
  FROM "authorization" a
  WHERE a.stood_in_at IS NOT NULL
  WINDOW day AS (PARTITION BY a.shard, a.purse_id, (a.stood_in_at AT TIME ZONE 'Africa/Cairo')::date, a.response_code)
) s
  LEFT JOIN purse p ON p.shard = s.shard AND p.id = s.purse_id
  LEFT JOIN jsonb_to_recordset($1::jsonb) AS c(kind smallint, amount_max bigint, days_max bigint) ON c.kind = p.kind AND s.response_code = '00'
