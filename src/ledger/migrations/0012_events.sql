-- Up Migration

-- Whom events are sent to (spec/events.md). `secret` signs what is sent and is sealed by the switch (src/security/dataVault.ts). `told_until` is the number
-- up to which everything of `kinds` was taken by the other side or given up. `attempts` requests have failed with the events after it, up to
-- `trying_until`; the next is due at `next_at`. One process at a time, `holder`, sends, until `leased_until`: by the clock of this database, which is
-- the same for all of them.
CREATE TABLE webhook (
  shard smallint NOT NULL,
  id text NOT NULL,
  url text NOT NULL,
  kinds text[] NOT NULL,
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
  key_id text NOT NULL CHECK (key_id ~ '^data\.[1-9][0-9]*$'),
  secret bytea NOT NULL CHECK (octet_length(secret) >= 28 + 32),
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  told_until bigint NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  trying_until bigint,
  next_at timestamptz,
  last_failure text,
  last_told_at timestamptz,
  holder text,
  leased_until timestamptz,
  PRIMARY KEY (shard, id)
) WITH (fillfactor = 50);

-- Events that a webhook was not told, after all attempts. They can be asked for again: by replay, or at GET /v1/events.
CREATE TABLE webhook_dead_letter (
  shard smallint NOT NULL,
  webhook_id text NOT NULL,
  number bigint NOT NULL,
  kind text NOT NULL,
  given_up_at timestamptz NOT NULL,
  attempts integer NOT NULL,
  failure text NOT NULL,
  PRIMARY KEY (shard, webhook_id, number),
  FOREIGN KEY (shard, webhook_id) REFERENCES webhook ON DELETE CASCADE
);
