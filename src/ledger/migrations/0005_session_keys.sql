-- Up Migration

-- Keys that peers sent over their links (0800, DE 70 161), each as the key block it came in, under the transport key that it came under: whoever has that
-- key can open it, nobody else. `base` is the key of the configuration that it takes the place of; the newest row counts, the one before it
-- is good for messages in flight. Append only: what was once in force can be shown.
CREATE TABLE session_key (
  base text NOT NULL,
  generation integer NOT NULL,
  name text NOT NULL,
  kcv text NOT NULL,
  block text NOT NULL,
  under text NOT NULL,
  since timestamptz NOT NULL,
  PRIMARY KEY (base, generation)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_key
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
