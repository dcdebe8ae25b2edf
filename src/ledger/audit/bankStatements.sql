-- Statements of the bank follow each other without a gap (but where somebody said why), hold as many entries of as much as they say, and each entry is either on the work
-- list or matched; what was posted for it is of its amount, and so is what it is matched with, less what other entries are of it.
--
-- Result: a row a statement and an entry. No locks.
SELECT 'statement' AS what, concat_ws(' ', s.account, s.statement_id) AS name,
  CASE
    WHEN s.number <> coalesce(b.number, 0) + 1 THEN 'a statement before it is missing'
    WHEN l.closing <> s.opening AND s.note IS NULL THEN 'it does not begin where the one before ended'
    WHEN coalesce(e.entries, 0) <> s.entries OR coalesce(e.net, 0) <> s.credits - s.debits THEN 'its entries are not what it says'
  END AS wrong
FROM bank_statement s
  LEFT JOIN bank_statement b ON b.shard = s.shard AND b.account = s.account AND b.number = s.number - 1
  LEFT JOIN LATERAL (
    SELECT x.closing FROM bank_statement x WHERE x.shard = s.shard AND x.account = s.account AND x.number < s.number
    ORDER BY x.until_day DESC, x.number DESC LIMIT 1
  ) l ON true
  LEFT JOIN (
    SELECT shard, account, statement_id, arrival, count(*) AS entries, sum(CASE WHEN credit THEN amount ELSE -amount END) AS net FROM bank_entry GROUP BY 1, 2, 3, 4
  ) e ON e.shard = s.shard AND e.account = s.account AND e.statement_id = s.statement_id AND e.arrival = s.arrival
UNION ALL
SELECT 'entry', e.id::text,
  CASE
    WHEN (o.entry_id IS NULL) = (m.entry_id IS NULL) AND (o.entry_id IS NOT NULL OR a.account IS NULL OR s.imported_at < now() - interval '1 hour')
      THEN 'it is neither on the work list nor matched, or both'
    WHEN m.kind IN ('claims', 'suspense') AND t.net IS DISTINCT FROM CASE WHEN e.credit THEN e.amount ELSE -e.amount END THEN 'what was posted for it is not its amount'
    WHEN m.kind IN ('deposit-days', 'atm-loads') AND CASE WHEN e.credit THEN e.amount ELSE -e.amount END
      <> CASE WHEN e.credit THEN 1 ELSE -1 END * coalesce(k.amount, 0) + coalesce(t.net, 0) THEN 'what it is said to be of does not come to its amount'
    WHEN m.kind IN ('deposits', 'atm-load') AND CASE WHEN e.credit THEN e.amount ELSE -e.amount END - coalesce(t.net, 0)
      IS DISTINCT FROM w.amount - sign(w.amount) * coalesce(w.parts, 0) THEN 'it is not what the day, or the loading, came to'
    WHEN m.kind IS NULL AND t.net IS NOT NULL THEN 'it is posted, and not matched'
    WHEN m.kind IN ('payout', 'payout-return') AND (p.amount IS NULL OR p.state NOT IN ('executed', 'returned') OR m.kind = 'payout-return' AND p.state <> 'returned')
      THEN 'it is matched with no payout of that state'
    -- What it has beyond the payout, or less, is on suspense.
    WHEN m.kind IN ('payout', 'payout-return') AND CASE WHEN e.credit THEN e.amount ELSE -e.amount END
      <> CASE m.kind WHEN 'payout' THEN -p.amount ELSE p.amount END + coalesce(t.net, 0) THEN 'it is not what was paid'
  END
FROM bank_entry e
  JOIN bank_statement s ON s.shard = e.shard AND s.account = e.account AND s.statement_id = e.statement_id AND s.arrival = e.arrival
  -- It is still being matched, which takes seconds; where the job has failed for an hour it is no excuse any more.
  LEFT JOIN bank_arrival a ON a.shard = e.shard AND a.account = e.account AND a.statement_id = e.statement_id
  LEFT JOIN bank_open o ON o.shard = e.shard AND o.entry_id = e.id
  LEFT JOIN bank_match m ON m.shard = e.shard AND m.entry_id = e.id
  LEFT JOIN (SELECT shard, entry_id, sum(amount) AS amount FROM bank_match_part GROUP BY 1, 2) k ON k.shard = e.shard AND k.entry_id = e.id
  LEFT JOIN payout p ON p.shard = m.shard AND m.kind IN ('payout', 'payout-return') AND p.end_to_end_id = m.what
  LEFT JOIN (
    SELECT shard, key, sum(CASE WHEN debit_code = 1000 THEN amount WHEN credit_code = 1000 THEN -amount ELSE 0 END) AS net FROM book_transfer
    WHERE key LIKE 'bank|%' GROUP BY 1, 2
  ) t ON t.shard = e.shard AND t.key = concat_ws('|', 'bank', e.account, e.statement_id, e.ordinal)
  -- What is matched whole came to so much, as the bank sees it, of which other entries are parts.
  LEFT JOIN LATERAL (
    SELECT x.amount, (SELECT sum(q.amount) FROM bank_match_part q WHERE q.shard = m.shard AND q.kind = m.kind AND q.what = m.what) AS parts
    FROM (
      SELECT sum(CASE WHEN b.debit_code = 1000 THEN b.amount ELSE -b.amount END) AS amount FROM book_transfer b
      WHERE m.kind = 'atm-load' AND b.shard = m.shard AND b.key = m.what
      UNION ALL
      SELECT sum(CASE WHEN f.debit_code = 1000 THEN f.amount ELSE -f.amount END) FROM day_flow f
      WHERE m.kind = 'deposits' AND f.shard = m.shard AND f.day::text = m.what
        AND (f.debit_code = 1000 AND f.credit_code IN (2000, 2300) OR f.credit_code = 1000 AND f.debit_code IN (2000, 2300))
    ) x WHERE x.amount IS NOT NULL
  ) w ON m.kind IN ('deposits', 'atm-load')
UNION ALL
SELECT 'part', k.kind || ' ' || k.what, CASE WHEN k.amount > abs(coalesce(x.amount, 0)) THEN 'more of it is matched than it came to' END
FROM (SELECT shard, kind, what, sum(amount) AS amount FROM bank_match_part GROUP BY 1, 2, 3) k
  LEFT JOIN LATERAL (
    SELECT sum(CASE WHEN t.credit_code = 1000 THEN t.amount ELSE -t.amount END) AS amount FROM book_transfer t
    WHERE k.kind = 'atm-load' AND t.shard = k.shard AND t.key = k.what
    UNION ALL
    SELECT sum(CASE WHEN f.debit_code = 1000 THEN f.amount ELSE -f.amount END) FROM day_flow f
    WHERE k.kind = 'deposits' AND f.shard = k.shard AND f.day::text = k.what
      AND (f.debit_code = 1000 AND f.credit_code IN (2000, 2300) OR f.credit_code = 1000 AND f.debit_code IN (2000, 2300))
  ) x ON x.amount IS NOT NULL
