-- A purse never pays for another. What leaves a purse's account goes where that kind of purse pays: cash to merchants, payees, clinics, machines,
-- bank, suspense for what that has lent, and what it holds back itself, and to the outlet of subsidised goods for their price only; an entitlement is redeemed, or lapses at its month's
-- end. What moves an entitlement is a dispense, what gives one back, a month's opening, or an adjustment by the desk. The outlet is the service's, and that of the terminal
-- at which it was. A card's cash purses are those of its person, and a household's purses change into each other only within it.
--
-- Purse kinds above 4 are services to come: their outlets may be any but those of the first ones.
-- Result: a row a transfer; those that no approval has posted are found by postings.sql. No locks.
SELECT shard, key_date, key, kind, leg, purse_id, purse_version, ordinal, debit_code, debit_owner, credit_code, credit_owner, unit, amount,
  CASE
    WHEN payer_kind IS NOT NULL AND (payer_kind <> purse_kind OR debit_owner <> purse_id) THEN 'it takes from another purse than its own'
    WHEN payer_kind = 1 AND NOT CASE
      WHEN debit_code = held_account THEN credit_code = account OR credit_code = 2220
      WHEN leg = 2 THEN outlet IS NOT NULL
      WHEN kind = 19 THEN credit_code = 2300
      WHEN kind = 25 THEN credit_code = 2900
      ELSE credit_code IN (held_account, 1000, 1010, 2215, 2220, 2225)
    END THEN 'cash pays for something that is not its own'
    WHEN payer_kind <> 1 AND credit_code NOT IN (9001, 9002, 9003) AND NOT (kind = 22 AND credit_code = 9000)
      THEN 'an entitlement pays for something that is not its own'
    WHEN payer_kind <> 1 AND credit_code <> 9001 AND kind NOT IN (8, 10, 16, 22, 24) THEN 'an entitlement lapses before its month has ended'
    WHEN purse_kind <> 1 AND kind NOT IN (8, 10, 13, 16, 22, 24) THEN 'a kind that may not move an entitlement'
    WHEN purse_kind = 1 AND leg = 1 AND kind IN (13, 14, 16, 22) THEN 'cash in the place of an entitlement'
    WHEN leg = 2 AND (purse_kind = 1) <> (kind <> 16) THEN 'a second purse that has no part in it'
    -- Cash goes along with a person who moves: then it was a purse of a household of theirs.
    WHEN leg = 2 AND household_id <> service_household AND NOT EXISTS (
      SELECT FROM person_move m
      WHERE m.shard = paid.shard AND m.person_id = purse_person AND service_household IN (m.from_household, m.to_household)
    ) THEN 'what is left becomes units of another household'
    WHEN outlet IS NOT NULL AND NOT CASE service_kind
      WHEN 1 THEN outlet IN (2215, 2220, 2225)
      WHEN 2 THEN outlet = 2200
      WHEN 3 THEN outlet = 2210
      WHEN 4 THEN outlet = 2200
      ELSE outlet NOT IN (2200, 2210, 2215, 2220, 2225)
    END THEN 'the outlet is another service''s'
    WHEN outlet IS NOT NULL AND kind IN (1, 3, 7, 13, 15) AND outlet_owner <> merchant_id THEN 'another outlet than the terminal''s'
    WHEN purse_person <> card_person THEN 'the purse of another person than the card''s'
  END AS wrong
FROM (
  SELECT t.*, l.key, l.kind, l.leg, l.merchant_id, p.kind AS purse_kind, p.household_id, p.person_id AS purse_person, c.person_id AS card_person,
    s.kind AS service_kind, s.household_id AS service_household, own.account, own.held_account, payer.kind AS payer_kind,
    CASE WHEN t.debit_code BETWEEN 2200 AND 2299 THEN t.debit_code WHEN t.credit_code BETWEEN 2200 AND 2299 THEN t.credit_code END AS outlet,
    CASE WHEN t.debit_code BETWEEN 2200 AND 2299 THEN t.debit_owner ELSE t.credit_owner END AS outlet_owner
  FROM transfer t
    LEFT JOIN (
      SELECT shard, key_date, key, kind, merchant_id, card_token, purse_id AS service_purse, purse_id, purse_version, 1 AS leg
      FROM "authorization" WHERE purse_version IS NOT NULL
      UNION ALL
      SELECT shard, key_date, key, kind, merchant_id, card_token, purse_id, second_purse_id, second_version, 2
      FROM "authorization" WHERE second_version IS NOT NULL
    ) l ON l.shard = t.shard AND l.key_date = t.key_date AND l.purse_id = t.purse_id AND l.purse_version = t.purse_version
    LEFT JOIN purse p ON p.shard = t.shard AND p.id = t.purse_id
    LEFT JOIN purse s ON s.shard = l.shard AND s.id = l.service_purse
    LEFT JOIN card c ON c.shard = l.shard AND c.token = l.card_token
    LEFT JOIN purse_kind own ON own.kind = p.kind
    LEFT JOIN (
      SELECT kind, account AS code FROM purse_kind UNION ALL SELECT kind, held_account FROM purse_kind WHERE held_account IS NOT NULL
    ) payer ON payer.code = t.debit_code
) paid
