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
  -- A day belongs to the first payout that ends on it or later (that they are a chain is proved below): one sort, where a join would be of each payout with each day.
  SELECT y.shard, y.merchant_id, y.until_day, y.code, sum(y.net) AS net
  FROM (
    SELECT x.shard, x.merchant_id, x.code, x.net, min(x.until_day) OVER (PARTITION BY x.shard, x.merchant_id ORDER BY x.day DESC) AS until_day
    FROM (
      SELECT e.shard, e.merchant_id, e.day, e.code, e.net, NULL::date AS until_day FROM earned e
      UNION ALL
      SELECT p.shard, p.merchant_id, p.until_day, NULL, NULL, p.until_day FROM payout p
    ) x
  ) y
  WHERE y.code IS NOT NULL AND y.until_day IS NOT NULL
  GROUP BY 1, 2, 3, 4
)
SELECT p.shard, p.run_id, p.merchant_id, p.until_day, p.end_to_end_id, k.code, k.net AS amount,
  CASE
    WHEN k.due <> k.net THEN 'not what the outlet has earned on its days'
    WHEN p.state <> 'prepared' AND (k.posted <> k.net OR k.bank <> k.paid) THEN 'not posted as it was paid'
    WHEN k.back <> CASE WHEN p.state = 'returned' THEN k.paid ELSE 0 END THEN 'not posted back as it was paid'
  END AS wrong
FROM (
    -- All that is said of an account of a payout, added up: the join with payouts comes last, and is by their key.
    SELECT u.shard, u.merchant_id, u.until_day, u.code, sum(u.net)::bigint AS net, sum(u.paid) AS paid, sum(u.due) AS due,
      sum(u.posted) AS posted, sum(u.bank) AS bank, sum(u.back) AS back
    FROM (
      SELECT k.shard, k.merchant_id, k.until_day, k.code, k.net, k.paid, 0::numeric AS due, 0::bigint AS posted, 0::bigint AS bank, 0::bigint AS back
      FROM payout_part k
      UNION ALL
      SELECT d.shard, d.merchant_id, d.until_day, d.code, 0, 0, d.net, 0, 0, 0 FROM due d
      UNION ALL
      SELECT p.shard, p.merchant_id, p.until_day, m.code, 0, 0, 0, CASE e.kind WHEN 'payout' THEN m.net ELSE 0 END,
        CASE e.kind WHEN 'payout' THEN m.bank ELSE 0 END, CASE e.kind WHEN 'payout-return' THEN -m.net ELSE 0 END
      FROM book_entry e
        JOIN book_transfer t ON t.shard = e.shard AND t.key = e.key
        JOIN payout p ON p.shard = e.shard AND p.end_to_end_id = e.reference
        CROSS JOIN LATERAL (VALUES (t.debit_code, t.amount, CASE t.credit_code WHEN 1000 THEN t.amount ELSE 0 END), (t.credit_code, -t.amount, 0)) m (code, net, bank)
      WHERE e.kind IN ('payout', 'payout-return') AND m.code <> 1000
    ) u
    GROUP BY 1, 2, 3, 4
  ) k
  JOIN payout p ON p.shard = k.shard AND p.merchant_id = k.merchant_id AND p.until_day = k.until_day
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
