-- The state of a card agrees with what is known of its life (src/programme/cardLife.ts), as far as it was ordered here: what waits to be collected was
-- told of, what is in somebody's hands was handed over with a PIN, what has ended has its end, and a card that was replaced has one that was handed
-- over instead. Fees that are deferred (2300) are those of cards that are on their way or were lost there, to the last piaster.
--
-- Result: a row a card that has a life, and one for the deferred fees. No locks.
SELECT c.shard, c.token, c.state, NULL::bigint AS deferred, NULL::bigint AS of_cards,
  CASE
    WHEN l.ended_at IS NULL AND c.state IN ('DESTROYED', 'REPLACED', 'CANCELLED', 'CLOSED') THEN 'it has ended, and nobody knows when'
    WHEN l.ended_at IS NOT NULL AND c.state NOT IN ('DESTROYED', 'REPLACED', 'CANCELLED', 'CLOSED', 'RETIRED') THEN 'it has ended, and goes on'
    WHEN l.fee_key IS NOT NULL AND c.state NOT IN ('ORDERED', 'AWAITING_COLLECTION', 'AWAITING_COLLECTION_DIWAN', 'LOST', 'STOLEN')
      THEN 'its fee is deferred, though it is known what became of it'
    WHEN l.ordered_at IS NULL THEN NULL
    WHEN c.state IN ('AWAITING_COLLECTION', 'AWAITING_COLLECTION_DIWAN') AND l.told_at IS NULL THEN 'it waits, and nobody was told'
    WHEN c.state IN ('ACTIVE', 'SUSPENDED_BIOMETRIC', 'PIN_BLOCKED', 'PIN_LOST', 'DAMAGED', 'EXPIRED') AND l.handed_over_at IS NULL
      THEN 'it is in somebody''s hands, and was never handed over'
    WHEN l.handed_over_at IS NOT NULL AND c.state IN ('ORDERED', 'AWAITING_COLLECTION', 'AWAITING_COLLECTION_DIWAN', 'DESTROYED', 'CANCELLED')
      THEN 'it was handed over, and was not'
    WHEN c.state = 'REPLACED' AND NOT EXISTS (
      SELECT 1 FROM card o JOIN card_life n ON n.shard = o.shard AND n.token = o.token
      WHERE o.shard = c.shard AND o.person_id = c.person_id AND o.token <> c.token AND n.handed_over_at >= l.ended_at
    ) THEN 'it was replaced by no card that was handed over'
  END AS wrong
FROM card_life l JOIN card c ON c.shard = l.shard AND c.token = l.token
UNION ALL
SELECT NULL, NULL, NULL, t.deferred, f.of_cards,
  CASE WHEN t.deferred <> f.of_cards THEN 'the fees that are deferred are not those of cards on their way' END
FROM (SELECT coalesce(sum(CASE WHEN credit_code = 2300 THEN amount ELSE -amount END), 0)::bigint AS deferred
    FROM transfer WHERE credit_code = 2300 OR debit_code = 2300) t
  CROSS JOIN (SELECT coalesce(sum(fee), 0)::bigint AS of_cards FROM card_life WHERE fee_key IS NOT NULL) f
