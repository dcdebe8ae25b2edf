-- Up Migration

-- Creates the monthly partitions of the ledger from the month of `first_day` on. Safe to run at any time and twice.
--
-- A partition is made on its own and then attached. CREATE TABLE ... PARTITION OF would need the whole table for itself (ACCESS
-- EXCLUSIVE): it waits for every reader, a dump or an audit may read for minutes, and every commit waits behind it. Attaching needs SHARE UPDATE
-- EXCLUSIVE on the table only, which neither readers nor commits mind (PostgreSQL manual, ALTER TABLE, ATTACH PARTITION).
CREATE OR REPLACE FUNCTION ensure_partitions(first_day date, months integer) RETURNS integer LANGUAGE plpgsql AS $$
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
