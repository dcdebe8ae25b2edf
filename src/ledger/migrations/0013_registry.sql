-- Up Migration

-- Merchants and terminals that the API makes and changes: a change says which version it has seen. Numbers made here are above those of the seed.
ALTER TABLE merchant ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE terminal ADD COLUMN version bigint NOT NULL DEFAULT 1;
CREATE SEQUENCE merchant_number START 1000000001;
CREATE SEQUENCE terminal_number START 1000000001;

-- Versions of the programme's rules beside those of config/programme.json, whole: `parameters` is one of its `versions`. Of several with the same
-- first day the last one holds; there can be several only while that day has not come, so that what has been in force is never rewritten.
CREATE TABLE programme_version (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  valid_from date NOT NULL,
  parameters jsonb NOT NULL,
  stored_at timestamptz NOT NULL,
  stored_by text NOT NULL,
  CHECK (parameters ->> 'validFrom' = to_char(valid_from, 'YYYY-MM-DD'))
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON programme_version
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
