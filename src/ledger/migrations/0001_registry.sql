-- Up Migration

-- Who takes part: households, their persons, purses and cards; merchants and their terminals. Every table of a household has its shard in
-- the primary key; the shard is stored when the household is created and never computed again.

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
CREATE TABLE household (
  shard smallint NOT NULL,
  id bigint NOT NULL,
  governorate smallint NOT NULL,
  ration_members smallint NOT NULL DEFAULT 0 CHECK (ration_members >= 0),
  bread_members smallint NOT NULL DEFAULT 0 CHECK (bread_members >= 0),
  PRIMARY KEY (shard, id)
);

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

-- One row a purse. `balance` is what can be spent, `held` what authorizations have set aside; `version` counts the postings,
-- `gate` is raised in the same commit as any change of card state, role, activation or entitlement that concerns this purse.
-- The day's counters belong to the Cairo date in `day`. `person_id` is null for a household's purse. The last four concern purses with a cycle:
-- `cycle` is the first day of the month that the purse was last opened for, `members` the count it was opened with, `marks` the days of that month
-- that were drawn (bit 0 is the 1st), `items` how many of each item of the goods list were drawn in it. No index on a column that changes, and
-- room on each page, so that updates stay heap-only.
CREATE TABLE purse (
  shard smallint NOT NULL,
  id bigint NOT NULL,
  kind smallint NOT NULL,
  unit smallint NOT NULL,
  household_id bigint NOT NULL,
  balance bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
  held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  version bigint NOT NULL DEFAULT 0,
  gate bigint NOT NULL DEFAULT 1,
  day date NOT NULL DEFAULT '2000-01-01',
  spent_amount bigint NOT NULL DEFAULT 0,
  spent_count integer NOT NULL DEFAULT 0,
  withdrawn_amount bigint NOT NULL DEFAULT 0,
  withdrawn_count integer NOT NULL DEFAULT 0,
  person_id bigint,
  cycle date CHECK (extract(day FROM cycle) = 1),
  members smallint NOT NULL DEFAULT 0,
  marks integer NOT NULL DEFAULT 0,
  items integer[],
  PRIMARY KEY (shard, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1);
CREATE INDEX purse_household ON purse (shard, household_id);

-- A household has one purse of each kind that is its own; what is left of one can only become units of a purse that is known for certain.
-- Cash belongs to persons: there a household has several.
CREATE UNIQUE INDEX purse_of_household ON purse (shard, household_id, kind) WHERE person_id IS NULL AND kind <> 1;

-- The card number itself is not here: `token` is its keyed hash, `masked` what may be shown. Whose card it is, and what it carries: head (everything of
-- person and household), member (the person's purses only), old (the household's old ration card: the household's purses only).
-- How its holder is verified: `psn` the sequence number of the chip's application; `pin_reference` what the PIN is verified against (PVV or
-- offset, as the profile of the card's BIN says; null: no PIN was ever set) and `pin_tries` wrong PINs in a row; `atc_max` the highest transaction counter
-- that came with a right cryptogram, `atc_seen` which of the 63 counters up to it did (bit 0 is atc_max); `issuer_script` a command that the
-- chip is to get with its next answer. No index on a column that changes, and room on each page.
CREATE TABLE card (
  shard smallint NOT NULL,
  token text NOT NULL,
  masked text NOT NULL,
  household_id bigint NOT NULL,
  state text NOT NULL,
  expiry text NOT NULL CHECK (expiry ~ '^\d{4}$'),
  version bigint NOT NULL DEFAULT 1,
  role text NOT NULL DEFAULT 'head' CHECK (role IN ('head', 'member', 'old')),
  person_id bigint,
  fingerprint_mismatches smallint NOT NULL DEFAULT 0,
  retired_at timestamptz,
  psn text NOT NULL DEFAULT '00' CHECK (psn ~ '^\d{2}$'),
  pin_reference text CHECK (pin_reference ~ '^\d{4,12}$'),
  pin_tries smallint NOT NULL DEFAULT 0,
  atc_max integer NOT NULL DEFAULT 0,
  atc_seen bigint NOT NULL DEFAULT 0,
  issuer_script text CHECK (issuer_script IN ('PIN_BLOCK', 'PIN_UNBLOCK', 'APPLICATION_BLOCK', 'APPLICATION_UNBLOCK', 'CARD_BLOCK')),
  PRIMARY KEY (shard, token),
  CHECK ((role = 'old') = (person_id IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX card_household ON card (shard, household_id);

-- A merchant's governorate is 0 where it is everywhere. `wallet`: the terminal takes the price of subsidised goods from the card's cash purse.
-- `offline`: it may approve bread and goods by itself and advise of it.
CREATE TABLE merchant (
  id bigint PRIMARY KEY,
  acceptor_id text NOT NULL UNIQUE,
  name text NOT NULL,
  category text NOT NULL CHECK (category ~ '^\d{4}$'),
  state text NOT NULL DEFAULT 'ACTIVE',
  governorate smallint NOT NULL DEFAULT 0
);

CREATE TABLE terminal (
  id bigint PRIMARY KEY,
  terminal_id text NOT NULL UNIQUE,
  merchant_id bigint NOT NULL REFERENCES merchant,
  class text NOT NULL,
  state text NOT NULL DEFAULT 'ACTIVE',
  wallet boolean NOT NULL DEFAULT false,
  offline boolean NOT NULL DEFAULT false
);

-- Which Redis holds the hot state of a shard. A Redis that is another process, another replication history or has lost its epoch
-- gets the next number; reservations of an older epoch are refused.
CREATE TABLE shard_epoch (
  shard smallint PRIMARY KEY,
  epoch bigint NOT NULL,
  redis_run_id text NOT NULL,
  redis_replication_id text NOT NULL
);

-- Facts about this database: when and how it was seeded.
CREATE TABLE programme_fact (
  name text PRIMARY KEY,
  value jsonb NOT NULL
);

-- What a decision knows of a household and a person comes from copies in Redis, and relies on the purses' gates: so a change of where a household lives,
-- of whose card it is and of what a person's cover is raises them in the same SQL transaction. (Counts of members hold from the next cycle.)
-- Locks: the purses, ORDER BY shard, id FOR NO KEY UPDATE.
CREATE FUNCTION raise_gates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'person' THEN
    PERFORM 1 FROM purse WHERE shard = NEW.shard AND person_id = NEW.id AND household_id IN (OLD.household_id, NEW.household_id)
      ORDER BY shard, id FOR NO KEY UPDATE;
    UPDATE purse SET gate = gate + 1
      WHERE shard = NEW.shard AND person_id = NEW.id AND household_id IN (OLD.household_id, NEW.household_id);
  ELSE
    PERFORM 1 FROM purse WHERE shard = NEW.shard AND household_id = NEW.id ORDER BY shard, id FOR NO KEY UPDATE;
    UPDATE purse SET gate = gate + 1 WHERE shard = NEW.shard AND household_id = NEW.id;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER raise_gates AFTER UPDATE OF household_id, head, cover_class, cover_from, cover_until ON person
  FOR EACH ROW EXECUTE FUNCTION raise_gates();
CREATE TRIGGER raise_gates AFTER UPDATE OF governorate ON household FOR EACH ROW EXECUTE FUNCTION raise_gates();
