-- Payouts are positions, and postings are payouts: each pays, account by account, what its outlet has earned on its days; its days begin where those of the payout before end, so that none
-- is paid twice; what was sent to the bank was posted, once, and what came back was posted back, once, as it was paid; a run's control sums are its payouts'.
--
-- Result: a row an account of a payout, a payout, a run, and a posting that is none of a payout. No locks.
WITH earned AS (
  SELECT o.shard, o.merchant_id, o.day, o.code, o.net FROM outlet_position o
  UNION ALL
  -- What payouts set off between accounts of one outlet is no position.
  SELECT t.shard, t.debit_owner, d.day, m.code, m.net
  FROM book_transfer t
    JOIN book_entry e ON e.shard = t.shard AND e.key = t.key AND e.kind = 'payout'
    JOIN business_day d ON d.shard = t.shard AND t.event_number > d.after AND t.event_number <= d.until
    CROSS JOIN LATERAL (VALUES (t.debit_code, t.amount), (t.credit_code, -t.amount)) m (code, net)
  WHERE t.credit_code BETWEEN 2200 AND 2299
), due AS (
  SELECT p.shard, p.merchant_id, p.until_day, s.code, sum(s.net) AS net
  FROM payout p
    JOIN earned s ON s.shard = p.shard AND s.merchant_id = p.merchant_id AND s.day > coalesce(p.after_day, '-infinity') AND s.day <= p.until_day
  GROUP BY 1, 2, 3, 4 HAVING sum(s.net) <> 0
), posted AS (
  SELECT e.shard, e.reference, e.kind, m.code, sum(m.net) AS net, sum(m.bank) AS bank
  FROM book_entry e
    JOIN book_transfer t ON t.shard = e.shard AND t.key = e.key
    CROSS JOIN LATERAL (VALUES (t.debit_code, t.amount, CASE t.credit_code WHEN 1000 THEN t.amount ELSE 0 END), (t.credit_code, -t.amount, 0)) m (code, net, bank)
  WHERE e.kind IN ('payout', 'payout-return') AND m.code <> 1000
  GROUP BY 1, 2, 3, 4
)
SELECT coalesce(p.shard, k.shard) AS shard, p.run_id, p.merchant_id, p.until_day, p.end_to_end_id, k.code, k.net AS amount,
  CASE
    WHEN k.due IS DISTINCT FROM k.net THEN 'not what the outlet has earned on its days'
    WHEN p.state <> 'prepared' AND (b.net IS DISTINCT FROM k.net OR b.bank IS DISTINCT FROM k.paid) THEN 'not posted as it was paid'
    WHEN CASE WHEN p.state = 'returned' THEN -coalesce(r.net, 0) ELSE coalesce(r.net, 0) END <> CASE WHEN p.state = 'returned' THEN k.paid ELSE 0 END
      THEN 'not posted back as it was paid'
  END AS wrong
FROM (
    SELECT coalesce(k.shard, d.shard) AS shard, coalesce(k.merchant_id, d.merchant_id) AS merchant_id, coalesce(k.until_day, d.until_day) AS until_day,
      coalesce(k.code, d.code) AS code, coalesce(k.net, 0) AS net, coalesce(k.paid, 0) AS paid, coalesce(d.net, 0) AS due
    FROM payout_part k FULL JOIN due d ON d.shard = k.shard AND d.merchant_id = k.merchant_id AND d.until_day = k.until_day AND d.code = k.code
  ) k
  JOIN payout p ON p.shard = k.shard AND p.merchant_id = k.merchant_id AND p.until_day = k.until_day
  LEFT JOIN posted b ON b.shard = p.shard AND b.reference = p.end_to_end_id AND b.kind = 'payout' AND b.code = k.code
  LEFT JOIN posted r ON r.shard = p.shard AND r.reference = p.end_to_end_id AND r.kind = 'payout-return' AND r.code = k.code
UNION ALL
SELECT p.shard, p.run_id, p.merchant_id, p.until_day, p.end_to_end_id, NULL, p.amount,
  CASE
    WHEN p.after_day IS DISTINCT FROM p.before THEN 'its days do not begin where those of the payout before end'
    WHEN p.amount <> p.parts OR p.amount <> p.paid THEN 'its amount is not that of its accounts'
    WHEN (p.state = 'prepared') <> (r.state = 'prepared' OR r.state = 'posting' AND p.ordinal > r.reached) OR r.state = 'cancelled' THEN 'it is not as its run is'
    WHEN p.until_day > r.until_day THEN 'it pays later days than its run'
    WHEN p.state <> 'prepared' AND NOT EXISTS (
      SELECT 1 FROM book_entry e WHERE e.shard = p.shard AND e.key = 'payout|' || p.end_to_end_id AND e.event_number = p.event_number) THEN 'it was not posted'
    WHEN p.state = 'returned' AND NOT EXISTS (
      SELECT 1 FROM book_entry e WHERE e.shard = p.shard AND e.key = 'payout-return|' || p.end_to_end_id AND e.event_number = p.returned_event)
      THEN 'it came back and was not posted back'
  END
FROM (
    SELECT q.*, lag(q.until_day) OVER (PARTITION BY q.shard, q.merchant_id ORDER BY q.until_day) AS before, s.parts, s.paid
    FROM payout q
      LEFT JOIN (SELECT k.shard, k.merchant_id, k.until_day, sum(k.net) AS parts, sum(k.paid) AS paid FROM payout_part k GROUP BY 1, 2, 3) s
        ON s.shard = q.shard AND s.merchant_id = q.merchant_id AND s.until_day = q.until_day
  ) p
  JOIN payout_run r ON r.shard = p.shard AND r.id = p.run_id
UNION ALL
SELECT r.shard, r.id, NULL, r.until_day, NULL, NULL, r.amount,
  CASE WHEN r.state <> 'cancelled' AND (r.payouts, r.amount) IS DISTINCT FROM (coalesce(s.payouts, 0), coalesce(s.amount, 0))
    THEN 'its control sums are not those of its payouts'
    WHEN r.posted <> coalesce(s.posted, 0) THEN 'it says that another number of its payouts is posted' END
FROM payout_run r
  LEFT JOIN (SELECT p.shard, p.run_id, count(*)::integer AS payouts, sum(p.amount) AS amount,
    count(*) FILTER (WHERE p.state <> 'prepared')::integer AS posted FROM payout p GROUP BY 1, 2) s
    ON s.shard = r.shard AND s.run_id = r.id
UNION ALL
SELECT e.shard, NULL, NULL, NULL, e.reference, NULL, NULL, 'a posting without its payout'
FROM book_entry e
WHERE e.kind IN ('payout', 'payout-return')
  AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.shard = e.shard AND p.end_to_end_id = e.reference AND (e.kind = 'payout' OR p.state = 'returned'))
