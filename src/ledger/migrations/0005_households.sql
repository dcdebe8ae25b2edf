-- Up Migration

-- What the programme's units, purses and accounts are: data, registered from config/programme.json at each start (src/ledger/chart.ts).
-- The auditor judges by these tables.
CREATE TABLE unit (
  number smallint PRIMARY KEY,
  name text NOT NULL UNIQUE
);
CREATE TABLE purse_kind (
  kind smallint PRIMARY KEY,
  name text NOT NULL UNIQUE,
  unit smallint NOT NULL REFERENCES unit,
  account smallint NOT NULL UNIQUE,
  held_account smallint UNIQUE
);
INSERT INTO unit (number, name) VALUES (1, 'EGP'), (2, 'RATION'), (3, 'POINTS'), (4, 'LOAF');
INSERT INTO purse_kind (kind, name, unit, account, held_account)
VALUES (1, 'cash', 1, 2000, 2001), (2, 'ration', 2, 2100, NULL), (3, 'bread', 4, 2110, NULL), (4, 'points', 3, 2120, NULL);

-- Members are counted for ration and for bread apart: not everybody who eats bread is on the ration list. A change holds from the next cycle.
ALTER TABLE household
  ADD ration_members smallint NOT NULL DEFAULT 0 CHECK (ration_members >= 0),
  ADD bread_members smallint NOT NULL DEFAULT 0 CHECK (bread_members >= 0);

-- A person's health cover: its class and the first and the last day on which it holds; no class, no cover.
CREATE TABLE person (
  shard smallint NOT NULL,
  id bigint NOT NULL,
  household_id bigint NOT NULL,
  birth_date date NOT NULL,
  head boolean NOT NULL,
  cover_class text,
  cover_from date,
  cover_until date,
  PRIMARY KEY (shard, id),
  CHECK ((cover_class IS NULL) = (cover_from IS NULL) AND (cover_class IS NULL) = (cover_until IS NULL))
);
CREATE UNIQUE INDEX person_head ON person (shard, household_id) WHERE head;

-- A service (ration, bread, health) is switched on for a region, and so for all its households and persons, whatever card they hold.
CREATE TABLE region_service (
  service text NOT NULL,
  governorate smallint NOT NULL,
  active_from date NOT NULL,
  PRIMARY KEY (service, governorate)
);

-- `person_id` is null for a household's purse. What follows concerns purses with a cycle: `cycle` is the first day of the month that the purse was
-- last opened for, `members` the count it was opened with, `marks` the days of that month that were drawn (bit 0 is the 1st), `items` how many of
-- each item of the goods list were drawn in it.
ALTER TABLE purse
  ADD person_id bigint,
  ADD cycle date CHECK (extract(day FROM cycle) = 1),
  ADD members smallint NOT NULL DEFAULT 0,
  ADD marks integer NOT NULL DEFAULT 0,
  ADD items integer[];
CREATE INDEX purse_household ON purse (shard, household_id);

-- Whose card it is, and what it carries: head (everything of person and household), member (the person's purses only), old (the household's old
-- ration card: the household's purses only).
ALTER TABLE card
  ADD role text NOT NULL DEFAULT 'head' CHECK (role IN ('head', 'member', 'old')),
  ADD person_id bigint,
  ADD fingerprint_mismatches smallint NOT NULL DEFAULT 0,
  ADD retired_at timestamptz,
  ADD CHECK ((role = 'old') = (person_id IS NULL)) NOT VALID;
CREATE INDEX card_household ON card (shard, household_id);

-- Cards that are there already: each belongs to the head of its household.
INSERT INTO person (shard, id, household_id, birth_date, head)
SELECT DISTINCT ON (shard, household_id) shard, cash_purse, household_id, '1980-01-01', true FROM card ORDER BY shard, household_id, cash_purse;
UPDATE purse p SET person_id = r.id FROM person r WHERE p.shard = r.shard AND p.id = r.id;
UPDATE card c SET person_id = c.cash_purse;
ALTER TABLE card DROP COLUMN cash_purse;

-- Where a merchant is; 0 where it is everywhere. `wallet`: the terminal takes the price of subsidised goods from the card's cash purse.
ALTER TABLE merchant ADD governorate smallint NOT NULL DEFAULT 0;
ALTER TABLE terminal ADD wallet boolean NOT NULL DEFAULT false;

-- `quantity`: what moved in the purse's own unit, where that is not the amount itself (loaves, a co-pay's share of the bill); of a decline for
-- a wrong fingerprint the count that it came to. `marks` and `items`: the days and goods that were drawn. `cycle`: the purse's at that moment.
-- `second_`: another purse of the same card that the decision moved too (bread paid by wallet; loaves that become points).
ALTER TABLE "authorization"
  ADD quantity bigint,
  ADD cycle date,
  ADD marks integer,
  ADD items text,
  ADD second_purse_id bigint,
  ADD second_version bigint,
  ADD second_available_after bigint;

-- Every posting of every purse, whichever leg of a decision it was.
CREATE VIEW purse_posting AS
  SELECT shard, key_date, key, kind, response_code, purse_id, purse_version, available_after, held_after, 1 AS leg
  FROM "authorization" WHERE purse_version IS NOT NULL
  UNION ALL
  SELECT shard, key_date, key, kind, response_code, second_purse_id, second_version, second_available_after, 0, 2
  FROM "authorization" WHERE second_version IS NOT NULL;
