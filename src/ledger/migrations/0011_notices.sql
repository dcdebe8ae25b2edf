-- Up Migration

-- What people are told by SMS: the outbox to the provider. A row is inserted in the SQL transaction of the change that it tells of, and sent afterwards,
-- at least once. `parameters` are what the template's words are filled with: never a name, a number of a card, of an ID or of a mobile. The
-- recipient's mobile is read and opened when the notice is sent (person_secret).
--
-- `state`: pending, not sent yet; sent, the provider has taken it; delivered, the phone has it; failed, and tried again at `next_attempt_at`; dead, given
-- up for `reason`, somebody has to call. `round` counts the times it was sent on purpose: attempts of one round have one id, by which a provider knows them
-- for the same. While a process sends it `next_attempt_at` is when another one may take it over. `once_key`: a second notice with the same is none.
CREATE TABLE notice (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL,
  shard smallint NOT NULL,
  person_id bigint,
  card_token text,
  template text NOT NULL,
  language text NOT NULL CHECK (language IN ('ar', 'en')),
  parameters jsonb NOT NULL DEFAULT '{}',
  once_key text UNIQUE,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'delivered', 'failed', 'dead')),
  round integer NOT NULL DEFAULT 1,
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz,
  provider_reference text,
  sent_at timestamptz,
  delivered_at timestamptz,
  reason text,
  CHECK ((state IN ('pending', 'failed')) = (next_attempt_at IS NOT NULL)),
  CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
);
CREATE INDEX notice_due ON notice (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX notice_person ON notice (person_id, id);
CREATE INDEX notice_dead ON notice (id) WHERE state = 'dead';
CREATE INDEX notice_unanswered ON notice (sent_at) WHERE state = 'sent';
CREATE INDEX notice_delivered ON notice (delivered_at) WHERE state = 'delivered';

-- Every reference that a provider gave a notice: a delivery report may come for one that was sent again meanwhile.
CREATE TABLE notice_reference (
  reference text PRIMARY KEY,
  notice_id bigint NOT NULL REFERENCES notice ON DELETE CASCADE
);
CREATE INDEX notice_reference_notice ON notice_reference (notice_id);

-- A service is announced to the heads of a region's households, from its first day on, a chunk a SQL transaction; `next_household` is where the next begins.
CREATE TABLE service_announcement (
  service text NOT NULL,
  governorate smallint NOT NULL,
  active_from date NOT NULL,
  next_household bigint NOT NULL DEFAULT 0,
  done_at timestamptz,
  PRIMARY KEY (service, governorate)
);

-- How far a clock has come that goes through all cards of a month: the last month (YYMM) that is done with.
CREATE TABLE clock_mark (
  name text NOT NULL,
  shard smallint NOT NULL,
  month text NOT NULL CHECK (month ~ '^\d{4}$'),
  PRIMARY KEY (name, shard)
);
