-- The audit trail is one chain: numbers from 1 on without a gap, each record's hash that of itself and of the record before it (audit_hash), and the last
-- one's the end that is kept apart (audit_head). Whoever changes, removes or slips in a record has to change all that come after it.
--
-- Result: a row a record, and one for the end of the chain. No locks.
SELECT number, actor, action, subject, at,
  CASE
    WHEN number <> coalesce(number_before, 0) + 1 THEN 'records are missing before it'
    WHEN hash <> audit_hash(coalesce(hash_before, sha256('sarf audit')), number, at, actor, roles, action, subject, outcome, detail)
      THEN 'it is not what its hash was made of'
  END AS wrong
FROM (
  SELECT *, lag(number) OVER chain AS number_before, lag(hash) OVER chain AS hash_before
  FROM audit_record WINDOW chain AS (ORDER BY number)
) recorded
UNION ALL
SELECT h.number, NULL, NULL, NULL, NULL,
  CASE WHEN h.number IS DISTINCT FROM coalesce(r.number, 0) OR h.hash IS DISTINCT FROM coalesce(r.hash, sha256('sarf audit'))
    THEN 'the end of the chain is not its last record' END
FROM (SELECT number, hash FROM audit_record ORDER BY number DESC LIMIT 1) r
  FULL JOIN audit_head h ON true
