-- A household's old card is retired once, and hands out nothing any more from then on. Advices (MTI function 2) of what was handed out offline before
-- may still come. Only an old card is ever retired.
--
-- Result: a row a retired card. No locks.
SELECT c.shard, c.token, c.household_id, c.retired_at, d.last AS last_dispense,
  CASE
    WHEN c.retired_at IS NULL THEN 'retired, and nobody knows when'
    WHEN c.role <> 'old' THEN 'not an old card'
    WHEN c.state = 'ACTIVE' THEN 'retired, and active again'
    WHEN d.last > c.retired_at THEN 'it went on dispensing'
  END AS wrong
FROM (SELECT * FROM card WHERE retired_at IS NOT NULL OR state = 'RETIRED') c
  LEFT JOIN (
    -- What stand-in told is posted later than it was handed out.
    SELECT shard, card_token, max(coalesce(stood_in_at, decided_at)) AS last
    FROM "authorization"
    WHERE kind = 13 AND response_code IN ('00', '10') AND mti / 10 % 10 = 0
    GROUP BY shard, card_token
  ) d ON d.shard = c.shard AND d.card_token = c.token
