-- Each hold is that of one approved authorization, of its amount; what is gone from it is what the transfers that follow have used or
-- released; nothing is left of it once its time and the grace are over.
--
-- Parameters: $1 the instant before which a hold must have ended to be overdue.
-- Result: a row a hold. No locks.
SELECT coalesce(h.shard, a.shard) AS shard, coalesce(h.key_date, a.key_date) AS key_date, coalesce(h.key, a.key) AS key,
  coalesce(h.purse_id, a.purse_id) AS purse_id, h.amount, h.remaining, coalesce(u.used, 0) AS used_or_released, h.expires_at,
  CASE
    WHEN h.key IS NULL THEN 'an authorization without its hold'
    WHEN a.key IS NULL THEN 'a hold without its authorization'
    WHEN h.purse_id <> a.purse_id OR h.amount <> a.approved THEN 'not the authorization''s purse or amount'
    WHEN h.remaining < 0 OR h.remaining > h.amount THEN 'less than nothing or more than the whole is left'
    WHEN h.amount - h.remaining <> coalesce(u.used, 0) THEN 'what is gone from it is not what was used or released'
    WHEN h.remaining > 0 AND h.expires_at < $1::timestamptz THEN 'open, and its time is over'
  END AS wrong
FROM (SELECT * FROM "authorization" WHERE kind = 2 AND approved > 0) a
  FULL JOIN hold h ON h.shard = a.shard AND h.key_date = a.key_date AND h.key = a.key
  LEFT JOIN (
    SELECT f.shard, f.original_date, f.original_key, sum(t.amount) AS used
    FROM transfer t
      JOIN "authorization" f
        ON f.shard = t.shard AND f.key_date = t.key_date AND f.purse_id = t.purse_id AND f.purse_version = t.purse_version
    WHERE t.debit_code = 2001
    GROUP BY f.shard, f.original_date, f.original_key
  ) u ON u.shard = coalesce(h.shard, a.shard) AND u.original_date = coalesce(h.key_date, a.key_date)
    AND u.original_key = coalesce(h.key, a.key)
