-- Each approval that posted has its transfers, between accounts that fit its kind and its purse; together they come to what was approved, and what
-- suspense lent or took back is what the decision says. Each transfer belongs to such an approval, on the leg of one of its purses.
--
-- rule: what a kind (src/transaction/transaction.ts) may move on a leg of a kind of purse, debit to credit (src/decision/; spec/ledger.md).
--   part: `own` moves the purse by what was approved, or by the quantity; `payer` is what treasury or fund pay; `lent` is suspense's; `lapsed`
--   leaves the purse for good at a month's end; `beside` is the rest of a hold that a completion frees.
--   back: it gives back to the purse or to who paid; a decision does not both give and take. Null: neither, or both as the months change.
-- service: what of the chart belongs to a household's purse. Services that are not among the first three (purse kinds above 4) may have any payer
--   (12xx) and any outlet (22xx): theirs are read as 1299 and 2299, and their own account as 2199.
-- Units: what moves in the purse's unit is the quantity, or what was approved where there is none, less what suspense lent. A unit valued in pounds is
--   itself the money; of counted ones (loaves) each is worth the same within a decision. A quantity of none on a give-back says that it lapsed at once.
-- Result: a row a posting. No locks.
WITH service (purse_kind, account, payer, outlet, advices) AS NOT MATERIALIZED (VALUES
  (2, 2100, 1200, 2200, true), (3, 2110, 1210, 2210, true), (4, 2120, 1200, 2200, false), (9, 2199, 1299, 2299, true)
),
rule (kind, leg, purse_kind, debit_code, credit_code, part, back) AS (
  VALUES
    (1, 1, 1, 2000, 2220, 'own', false),
    (2, 1, 1, 2000, 2001, 'own', false),
    (3, 1, 1, 2001, 2220, 'own', false), (3, 1, 1, 2000, 2220, 'own', false), (3, 1, 1, 2900, 2220, 'lent', false),
    (3, 1, 1, 2001, 2000, 'beside', NULL),
    (4, 1, 1, 2000, 1010, 'own', false),
    (5, 1, 1, 1000, 2000, 'own', true),
    (6, 1, 1, 1000, 2000, 'own', true),
    (7, 1, 1, 2000, 2215, 'own', false),
    (8, 1, 1, 2220, 2000, 'own', true), (8, 1, 1, 2220, 2900, 'lent', true),
    (10, 1, 1, 2220, 2000, 'own', true), (10, 1, 1, 2220, 2900, 'lent', true), (10, 1, 1, 1010, 2000, 'own', true),
    (10, 1, 1, 2215, 2000, 'own', true), (10, 1, 1, 2001, 2000, 'own', true),
    (10, 1, 1, 2225, 2000, 'own', true), (10, 1, 1, 2225, 1220, 'payer', true),
    (10, 1, 1, 2000, 1000, 'own', false), (10, 1, 1, 2900, 1000, 'lent', false), (10, 1, 1, 2000, 2220, 'own', false),
    (10, 1, 1, 2900, 2220, 'lent', false), (10, 1, 1, 2000, 2215, 'own', false), (10, 1, 1, 2900, 2215, 'lent', false),
    (10, 1, 1, 2000, 2225, 'own', false), (10, 1, 1, 1220, 2225, 'payer', false), (10, 1, 1, 2900, 2225, 'lent', false),
    (11, 1, 1, 2001, 2000, 'own', true),
    (12, 1, 1, 2215, 2000, 'own', true),
    -- Suspense has lent a part of the original, or all of it while it was disputed: that goes back first.
    (10, 1, 1, 1010, 2900, 'lent', true), (10, 1, 1, 2215, 2900, 'lent', true), (12, 1, 1, 2215, 2900, 'lent', true),
    (15, 1, 1, 2000, 2225, 'own', false), (15, 1, 1, 1220, 2225, 'payer', false),
    (17, 1, 1, 2225, 2000, 'own', true), (17, 1, 1, 2225, 1220, 'payer', true),
    -- What is paid at a counter, and what is earned, moves nothing of the purse that it is told on.
    (19, 1, 1, 2000, 2300, 'own', false), (19, 1, 1, 1000, 2300, 'payer', false),
    (20, 1, 1, 2300, 2000, 'own', true), (20, 1, 1, 2300, 1000, 'payer', true),
    (21, 1, 1, 2300, 4000, 'payer', NULL),
    -- A dispute: lent by suspense, given back for good, and what of the loan is taken back.
    (23, 1, 1, 2900, 2000, 'own', true),
    (24, 1, 1, 2220, 2000, 'own', true), (24, 1, 1, 2220, 2900, 'lent', true), (24, 1, 1, 1010, 2000, 'own', true),
    (24, 1, 1, 1010, 2900, 'lent', true), (24, 1, 1, 2215, 2000, 'own', true), (24, 1, 1, 2215, 2900, 'lent', true),
    (24, 1, 1, 2225, 2000, 'own', true), (24, 1, 1, 2225, 1220, 'payer', true),
    (25, 1, 1, 2000, 2900, 'own', false)
  UNION ALL
  -- A dispense takes, a refund and a dispute give back, a reversal does either.
  SELECT k.kind, 1, s.purse_kind, m.debit_code, m.credit_code, m.part, m.back
  FROM (VALUES (13, false), (8, true), (24, true), (10, true), (10, false)) AS k (kind, back)
    CROSS JOIN service s
    CROSS JOIN LATERAL (VALUES
      (s.account, 9001, 'own', false), (s.payer, s.outlet, 'payer', false), (2900, s.outlet, 'lent', false),
      (9001, s.account, 'own', true), (s.outlet, s.payer, 'payer', true), (s.outlet, 2900, 'lent', true),
      (s.account, 9002, 'lapsed', true), (s.account, 9003, 'lapsed', true)
    ) AS m (debit_code, credit_code, part, back)
  WHERE m.back = k.back AND (m.part <> 'lent' OR s.advices OR k.kind = 10)
    AND (m.part <> 'lapsed' OR m.credit_code = CASE s.purse_kind WHEN 2 THEN 9002 WHEN 9 THEN m.credit_code END)
  UNION ALL
  -- The price of counted goods, where it is paid from the card's cash purse.
  SELECT k.kind, 2, 1, m.debit_code, m.credit_code, 'own', k.back
  FROM (VALUES (13, false), (8, true), (24, true), (10, true), (10, false)) AS k (kind, back)
    CROSS JOIN service s
    CROSS JOIN LATERAL (VALUES (2000, s.outlet, false), (s.outlet, 2000, true)) AS m (debit_code, credit_code, back)
  WHERE s.purse_kind IN (3, 9) AND m.back = k.back
  UNION ALL
  -- A month begins: what is left goes, what is new comes, and what is left of one purse may become units of another.
  SELECT 16, m.leg, s.purse_kind, m.debit_code, m.credit_code, m.part, NULL
  FROM service s
    CROSS JOIN LATERAL (VALUES
      (1, s.account, 9002, 'lapsed'), (1, s.account, 9003, 'lapsed'), (1, 9000, s.account, 'own'), (2, 9000, s.account, 'own')
    ) AS m (leg, debit_code, credit_code, part)
  WHERE m.part <> 'lapsed' OR m.credit_code = CASE s.purse_kind WHEN 2 THEN 9002 WHEN 3 THEN 9003 WHEN 9 THEN m.credit_code END
  UNION ALL
  -- An entitlement is put right, up or down.
  SELECT 22, 1, s.purse_kind, m.debit_code, m.credit_code, 'own', m.back
  FROM service s CROSS JOIN LATERAL (VALUES (9000, s.account, true), (s.account, 9000, false)) AS m (debit_code, credit_code, back)
),
-- Account codes as the rules have them: those of later services by what they are.
read_as (purse_kind, code, rule_code) AS NOT MATERIALIZED (
  SELECT kind, account, 2199 FROM purse_kind WHERE kind > 4
  UNION ALL SELECT kind, code, 1299 FROM purse_kind, generate_series(1200, 1299) AS payer (code) WHERE kind > 4
  UNION ALL SELECT kind, code, 2299 FROM purse_kind, generate_series(2200, 2299) AS outlet (code) WHERE kind > 4 AND code NOT IN (2215, 2220, 2225)
)
SELECT shard, key_date, purse_id, purse_version, key, kind, purse_kind, approved, quantity, transfers, own, second, payer, lent, lapsed, unfit,
  from_suspense,
  CASE
    WHEN kind IS NULL THEN 'transfers that no approval has posted'
    WHEN transfers = 0 THEN 'posted, but there are no transfers'
    WHEN (second_version IS NOT NULL) <> (seconds > 0) THEN 'the second purse''s transfers are not there'
    WHEN unfit > 0 THEN 'accounts that do not fit the kind'
    WHEN first_outlet <> last_outlet THEN 'more than one outlet'
    WHEN gives AND takes THEN 'it gives back and takes at once'
    WHEN purse_kind = 1 AND own + lent + payer <> approved THEN 'the transfers do not come to what was approved'
    WHEN purse_kind = 1 AND own + lent <> coalesce(quantity, approved) THEN 'the holder''s part is not what was decided'
    WHEN purse_kind = 1 AND lent <> from_suspense THEN 'suspense was moved by something else than the decision says'
    WHEN kind = 16 AND own <> approved THEN 'what was issued is not what the month brings'
    WHEN kind = 22 AND own <> approved THEN 'what was put right is not what was decided'
    WHEN purse_kind = 1 OR kind IN (16, 22) THEN NULL
    WHEN valued AND NOT (quantity IS NULL OR quantity = 0 AND kind IN (8, 10, 24)) THEN 'a quantity of units that are money'
    WHEN own <> units - from_suspense THEN 'the units do not come to what was approved'
    WHEN lapsed <> CASE WHEN quantity = 0 THEN own ELSE 0 END THEN 'what lapses is not what came back'
    WHEN second_version IS NOT NULL AND (second > approved OR second < approved AND NOT (kind = 10 AND takes))
      THEN 'the price paid is not what was approved'
    WHEN lent - price_lent < 0 OR from_suspense = 0 AND lent <> price_lent
      OR from_suspense > 0 AND mod(lent - price_lent, from_suspense) <> 0 OR own > 0 AND mod(payer, own) <> 0 OR own = 0 AND payer > 0
      OR own > 0 AND payer * from_suspense <> (lent - price_lent) * own OR valued AND (payer <> own OR lent <> from_suspense)
      THEN 'the money is not what the units are worth'
  END AS wrong
FROM (
  SELECT sums.*, purse_kind IN (2, 4) OR quantity IS NULL AND purse_kind > 4 AS valued,
    CASE WHEN quantity IS NULL OR quantity = 0 AND kind IN (8, 10, 24) AND purse_kind IN (2, 4) THEN approved
      WHEN quantity = 0 AND kind IN (8, 10, 24) THEN own + from_suspense ELSE quantity END AS units,
    -- A refund is reversed, and the cash purse no longer had the price that it had got back.
    CASE WHEN kind = 10 AND takes AND second_purse_id IS NOT NULL THEN approved - second ELSE 0 END AS price_lent
  FROM (
    SELECT coalesce(a.shard, t.shard) AS shard, coalesce(a.key_date, t.key_date) AS key_date,
      coalesce(a.purse_id, b.purse_id, t.purse_id) AS purse_id, coalesce(a.purse_version, b.purse_version, t.purse_version) AS purse_version,
      min(coalesce(a.key, b.key)) AS key, min(coalesce(a.kind, b.kind)) AS kind, min(p.kind) FILTER (WHERE b.key IS NULL) AS purse_kind,
      min(a.approved) AS approved, min(a.quantity) AS quantity, coalesce(min(a.from_suspense), 0) AS from_suspense,
      min(a.second_purse_id) AS second_purse_id, min(a.second_version) AS second_version,
      count(t.amount) FILTER (WHERE b.key IS NULL) AS transfers,
      count(t.amount) FILTER (WHERE b.key IS NOT NULL) AS seconds,
      coalesce(sum(t.amount) FILTER (WHERE r.part = 'own' AND r.leg = 1), 0) AS own,
      coalesce(sum(t.amount) FILTER (WHERE r.part = 'own' AND r.leg = 2), 0) AS second,
      coalesce(sum(t.amount) FILTER (WHERE r.part = 'payer'), 0) AS payer,
      coalesce(sum(t.amount) FILTER (WHERE r.part = 'lent'), 0) AS lent,
      coalesce(sum(t.amount) FILTER (WHERE r.part = 'lapsed'), 0) AS lapsed,
      count(t.amount) FILTER (WHERE r.part IS NULL) AS unfit,
      min(CASE WHEN t.debit_code BETWEEN 2200 AND 2299 THEN t.debit_code * 1000000000000 + t.debit_owner
        WHEN t.credit_code BETWEEN 2200 AND 2299 THEN t.credit_code * 1000000000000 + t.credit_owner END) AS first_outlet,
      max(CASE WHEN t.debit_code BETWEEN 2200 AND 2299 THEN t.debit_code * 1000000000000 + t.debit_owner
        WHEN t.credit_code BETWEEN 2200 AND 2299 THEN t.credit_code * 1000000000000 + t.credit_owner END) AS last_outlet,
      coalesce(bool_or(r.back), false) AS gives, coalesce(bool_or(NOT r.back), false) AS takes
    FROM (SELECT * FROM "authorization" WHERE purse_version IS NOT NULL AND response_code IN ('00', '10')) a
      FULL JOIN transfer t ON t.shard = a.shard AND t.key_date = a.key_date AND t.purse_id = a.purse_id AND t.purse_version = a.purse_version
      LEFT JOIN (SELECT * FROM "authorization" WHERE second_version IS NOT NULL AND response_code IN ('00', '10')) b
        ON b.shard = t.shard AND b.key_date = t.key_date AND b.second_purse_id = t.purse_id AND b.second_version = t.purse_version
      LEFT JOIN purse p ON p.shard = coalesce(a.shard, t.shard) AND p.id = coalesce(a.purse_id, t.purse_id)
      LEFT JOIN read_as d ON d.purse_kind = p.kind AND d.code = t.debit_code
      LEFT JOIN read_as c ON c.purse_kind = p.kind AND c.code = t.credit_code
      LEFT JOIN rule r ON r.kind = coalesce(a.kind, b.kind) AND r.leg = CASE WHEN b.key IS NULL THEN 1 ELSE 2 END
        AND r.purse_kind = CASE WHEN p.kind > 4 THEN 9 ELSE p.kind END
        AND r.debit_code = coalesce(d.rule_code, t.debit_code) AND r.credit_code = coalesce(c.rule_code, t.credit_code)
    GROUP BY 1, 2, 3, 4
  ) sums
) posted
