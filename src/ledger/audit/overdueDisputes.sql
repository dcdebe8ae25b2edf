-- Information, for whoever decides them: open cases whose day for a decision has passed, and what suspense has lent for them.
--
-- $1: the Cairo day.
-- Result: a row a case. No locks.
SELECT shard, id AS dispute, reason, claimed, provisional, decide_by, NULL::text AS wrong
FROM dispute WHERE state = 'open' AND decide_by < $1::date
ORDER BY provisional DESC NULLS LAST, decide_by, id
