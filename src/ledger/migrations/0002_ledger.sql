-- Up Migration

-- One row a decision, approved or declined. It is the idempotency record (unique key and stored answer), the outbox
-- and the journal entry's head. `purse_version` is the purse's version after the posting, null where nothing was posted.
-- Partitioned by the date in the key, so that uniqueness holds across midnight.
-- `quantity`: what moved in the purse's own unit, where that is not the amount itself (loaves, a co-pay's share of the bill); of a decline for
-- a wrong fingerprint the count that it came to. `marks` and `items`: the days and goods that were drawn. `cycle`: the purse's at that moment.
-- `second_`: another purse of the same card that the decision moved too (bread paid by wallet; loaves that become points).
-- `event_number`: its place among the events that are told (0008_card_life.sql, spec/events.md); null, it is told to nobody.
CREATE TABLE "authorization" (
  purse_id bigint,
  purse_version bigint,
  body bigint,
  requested bigint NOT NULL,
  approved bigint NOT NULL,
  available_after bigint,
  held_after bigint,
  from_suspense bigint,
  merchant_id bigint,
  decided_at timestamptz NOT NULL,
  key_date date NOT NULL,
  original_date date,
  shard smallint NOT NULL,
  mti smallint NOT NULL,
  kind smallint NOT NULL,
  key text NOT NULL,
  response_code text NOT NULL,
  reason text,
  approval_code text,
  card_token text,
  terminal_id text,
  rrn text,
  original_key text,
  quantity bigint,
  cycle date,
  marks integer,
  items text,
  second_purse_id bigint,
  second_version bigint,
  second_available_after bigint,
  event_number bigint,
  stood_in_at timestamptz,
  PRIMARY KEY (shard, key_date, key)
) PARTITION BY RANGE (key_date);

-- Two secondary indexes, no more. Event numbers only ascend, so that the second one grows at its right end and costs next to nothing (adr/0019).
CREATE INDEX authorization_purse ON "authorization" (purse_id) WHERE purse_id IS NOT NULL;
CREATE INDEX authorization_event ON "authorization" (event_number) WHERE event_number IS NOT NULL;

-- Every posting of every purse, whichever leg of a decision it was.
CREATE VIEW purse_posting AS
  SELECT shard, key_date, key, kind, response_code, purse_id, purse_version, available_after, held_after, 1 AS leg
  FROM "authorization" WHERE purse_version IS NOT NULL
  UNION ALL
  SELECT shard, key_date, key, kind, response_code, second_purse_id, second_version, second_available_after, 0, 2
  FROM "authorization" WHERE second_version IS NOT NULL;

-- One debit and one credit account a row; an account is a code of the chart and its owner (purse, merchant, terminal, or 0). `event_number` is its
-- decision's; the opening of a purse, which is told to nobody, has a number for its transfers all the same. It says to which business day a
-- transfer belongs (0017_business_day.sql).
CREATE TABLE transfer (
  purse_id bigint NOT NULL,
  purse_version bigint NOT NULL,
  event_number bigint NOT NULL,
  debit_owner bigint NOT NULL,
  credit_owner bigint NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  key_date date NOT NULL,
  shard smallint NOT NULL,
  ordinal smallint NOT NULL,
  debit_code smallint NOT NULL,
  credit_code smallint NOT NULL,
  unit smallint NOT NULL
) PARTITION BY RANGE (key_date);

-- Read by ranges of numbers that have just been written, or that are long past: as they only ascend, the least index there is finds them.
CREATE INDEX transfer_event ON transfer USING brin (event_number) WITH (pages_per_range = 32, autosummarize = on);

-- What an approved authorization has set aside and not yet settled or released. Changes under the purse's lock only.
CREATE TABLE hold (
  shard smallint NOT NULL,
  key_date date NOT NULL,
  key text NOT NULL,
  purse_id bigint NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  remaining bigint NOT NULL CHECK (remaining >= 0 AND remaining <= amount),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (shard, key_date, key)
);
CREATE INDEX hold_open ON hold (expires_at) WHERE remaining > 0;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append only: % on % is refused', TG_OP, TG_TABLE_NAME;
END
$$;

-- Creates the monthly partitions of the ledger from the month of `first_day` on. Safe to run at any time and twice.
--
-- A partition is made on its own and then attached. CREATE TABLE ... PARTITION OF would need the whole table for itself (ACCESS
-- EXCLUSIVE): it waits for every reader, a dump or an audit may read for minutes, and every commit waits behind it. Attaching needs SHARE UPDATE
-- EXCLUSIVE on the table only, which neither readers nor commits mind (PostgreSQL manual, ALTER TABLE, ATTACH PARTITION).
CREATE FUNCTION ensure_partitions(first_day date, months integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  month date;
  name text;
  created integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(8583, 1);
  FOR i IN 0 .. months - 1 LOOP
    month := (date_trunc('month', first_day) + make_interval(months => i))::date;
    FOREACH parent IN ARRAY ARRAY['authorization', 'transfer'] LOOP
      name := format('%s_%s', parent, to_char(month, 'YYYYMM'));
      CONTINUE WHEN to_regclass(quote_ident(name)) IS NOT NULL;
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name, parent);
      EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name, month, (month + interval '1 month')::date);
      created := created + 1;
    END LOOP;
  END LOOP;
  RETURN created;
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "authorization"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
