-- Up Migration

-- Who takes part: households and their cards, merchants and their terminals. Every table of a household has its shard in
-- the primary key; the shard is stored when the household is created and never computed again.

CREATE TABLE household (
  shard smallint NOT NULL,
  id bigint NOT NULL,
  governorate smallint NOT NULL,
  PRIMARY KEY (shard, id)
);

-- One row a purse. `balance` is what can be spent, `held` what authorizations have set aside; `version` counts the postings,
-- `gate` is raised in the same commit as any change of card state, role, activation or entitlement that concerns this purse.
-- The day's counters belong to the Cairo date in `day`. No index on a column that changes, and room on each page,
-- so that updates stay heap-only.
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
  PRIMARY KEY (shard, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1);

-- The card number itself is not here: `token` is its keyed hash, `masked` what may be shown.
CREATE TABLE card (
  shard smallint NOT NULL,
  token text NOT NULL,
  masked text NOT NULL,
  household_id bigint NOT NULL,
  cash_purse bigint NOT NULL,
  state text NOT NULL,
  expiry text NOT NULL CHECK (expiry ~ '^\d{4}$'),
  version bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (shard, token)
);

CREATE TABLE merchant (
  id bigint PRIMARY KEY,
  acceptor_id text NOT NULL UNIQUE,
  name text NOT NULL,
  category text NOT NULL CHECK (category ~ '^\d{4}$'),
  state text NOT NULL DEFAULT 'ACTIVE'
);

CREATE TABLE terminal (
  id bigint PRIMARY KEY,
  terminal_id text NOT NULL UNIQUE,
  merchant_id bigint NOT NULL REFERENCES merchant,
  class text NOT NULL,
  state text NOT NULL DEFAULT 'ACTIVE'
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
