-- Up Migration

-- What holders dispute. A case is about one posting, `original`; a posting has one case, unless that was withdrawn. It changes under the locks of the posting's
-- purses only (src/settlement/disputes.ts). Amounts are piasters.
-- `claimed`: at most what of the original was not given back when the case was opened. `credit_day`: the Cairo day on which suspense lends the holder what
-- is claimed, unless it is decided before; null: never. `decide_by`: the last day for the decision. `provisional`: what was lent; null: not yet; 0: there was nothing to
-- lend. `granted`: given back for good; `taken_back` what of the loan came back from the purse, `uncovered` what did not and stays with suspense.
-- `evidence`: the trace of the messages when the case was opened. No card number, national ID or mobile.
CREATE TABLE dispute (
  shard smallint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  card_token text NOT NULL,
  household_id bigint NOT NULL,
  person_id bigint,
  purse_id bigint NOT NULL,
  second_purse_id bigint,
  original_date date NOT NULL,
  original_key text NOT NULL,
  reason text NOT NULL CHECK (reason IN ('atm-did-not-dispense', 'charged-twice', 'goods-not-given', 'not-me')),
  claimed bigint NOT NULL CHECK (claimed > 0),
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'granted', 'refused', 'withdrawn')),
  opened_by text NOT NULL,
  opened_at timestamptz NOT NULL,
  note text,
  credit_day date,
  decide_by date NOT NULL,
  provisional bigint CHECK (provisional >= 0),
  provisional_date date,
  granted bigint CHECK (granted >= 0 AND granted <= claimed),
  taken_back bigint CHECK (taken_back >= 0),
  uncovered bigint CHECK (uncovered >= 0),
  decided_at timestamptz,
  decided_date date,
  evidence jsonb NOT NULL,
  PRIMARY KEY (shard, id),
  CHECK ((state = 'open') = (decided_at IS NULL)),
  CHECK ((state = 'granted') = (coalesce(granted, 0) > 0))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX dispute_original ON dispute (shard, original_date, original_key) WHERE state <> 'withdrawn';
CREATE INDEX dispute_due ON dispute (shard, credit_day) WHERE state = 'open' AND provisional IS NULL;
CREATE INDEX dispute_open ON dispute (shard, decide_by, id) WHERE state = 'open';
CREATE INDEX dispute_card ON dispute (shard, card_token);

-- Statements of accounts begin with what an outlet was paid, and what a machine held, on all days before: a few of many rows.
CREATE INDEX book_transfer_payout ON book_transfer (shard, debit_owner, event_number) WHERE debit_code BETWEEN 2200 AND 2299;
CREATE INDEX day_flow_machine ON day_flow (shard, terminal_id, day) WHERE terminal_id <> 0;
