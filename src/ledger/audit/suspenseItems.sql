-- Suspense (2900) is the sum of its items: everything that the ledger has posted on it, up to where items were made, belongs to one item, once, and items are what their postings
-- come to. Two items that were matched with each other moved by as much.
--
-- Result: a row a posting, an item and a shard. No locks.
WITH posted AS (
  SELECT g.shard, g.event_number, g.book_key, sum(CASE WHEN g.debit_code = 2900 THEN g.amount ELSE 0 END) AS lent,
    sum(CASE WHEN g.credit_code = 2900 THEN g.amount ELSE 0 END) AS come_back
  FROM general_ledger g
  WHERE 2900 IN (g.debit_code, g.credit_code)
  GROUP BY 1, 2, 3
)
SELECT 'posting' AS what, coalesce(s.posting_key, l.event_number::text) AS name, coalesce(l.lent - l.come_back, 0) AS in_ledger,
  coalesce(s.lent - s.come_back, 0) AS in_items,
  CASE
    WHEN l.event_number IS NULL THEN 'an item was moved by what is not in the ledger'
    WHEN s.posting_key IS NULL THEN 'it is in no item'
    WHEN s.lent <> l.lent OR s.come_back <> l.come_back THEN 'the item was moved by another amount'
  END AS wrong
FROM (SELECT * FROM suspense_posting WHERE event_number IS NOT NULL) s
  FULL JOIN (
    SELECT p.* FROM posted p
    WHERE p.event_number <= coalesce((SELECT u.until FROM suspense_progress u WHERE u.shard = p.shard), 0)
      OR EXISTS (SELECT FROM suspense_posting e WHERE e.shard = p.shard AND e.posting_key = 'book ' || p.book_key)
  ) l ON l.shard = s.shard AND l.event_number = s.event_number
UNION ALL
SELECT 'item', i.id::text, coalesce(p.lent - p.come_back, 0), i.open,
  CASE WHEN p.lent IS DISTINCT FROM i.lent OR p.come_back IS DISTINCT FROM i.come_back THEN 'the item is not the sum of its postings' END
FROM suspense_item i
  LEFT JOIN (SELECT shard, item_id, sum(lent) AS lent, sum(come_back) AS come_back FROM suspense_posting GROUP BY 1, 2) p ON p.shard = i.shard AND p.item_id = i.id
UNION ALL
SELECT 'matched', m.shard::text, 0, m.moved, CASE WHEN m.moved <> 0 THEN 'items that were matched did not move by as much' END
FROM (SELECT shard, sum(lent - come_back) AS moved FROM suspense_posting WHERE event_number IS NULL GROUP BY shard) m
