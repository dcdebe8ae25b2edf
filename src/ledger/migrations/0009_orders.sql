-- Up Migration

-- Cards that are ordered in bulk. A file may have a hundred thousand rows, so that it is taken in chunks, each a SQL transaction, and goes on behind the last
-- one where it was cut short.

-- One row a file. `id` follows from who sends it and under which key. `row_hash` is a keyed hash over all rows done so far, in their order: by it the same file is
-- known again without its national IDs being kept. `row_count` rows are done: of them `accepted` have a card and `refused` have a reason.
CREATE TABLE card_order (
  id text PRIMARY KEY,
  actor text NOT NULL,
  begun_at timestamptz NOT NULL,
  completed_at timestamptz,
  row_count integer NOT NULL DEFAULT 0,
  accepted integer NOT NULL DEFAULT 0,
  refused integer NOT NULL DEFAULT 0,
  row_hash bytea NOT NULL,
  CHECK (row_count = accepted + refused)
);

-- What became of a row: a card, or a reason: its name, the column that it is about, and a sentence. Nothing of what the row said.
CREATE TABLE card_order_row (
  order_id text NOT NULL REFERENCES card_order,
  row_number integer NOT NULL CHECK (row_number > 0),
  card_token text,
  reason text,
  field text,
  detail text,
  PRIMARY KEY (order_id, row_number),
  CHECK ((card_token IS NULL) <> (reason IS NULL))
);
CREATE INDEX card_order_row_refused ON card_order_row (order_id, row_number) WHERE reason IS NOT NULL;

-- Which households a person was in before the present one. What a card of theirs moved in those is found through it: a posting on a cash purse may be the second leg of a
-- decision on a purse of the household (bread paid from the card), and only first legs have an index.
CREATE TABLE person_move (
  shard smallint NOT NULL,
  person_id bigint NOT NULL,
  moved_at timestamptz NOT NULL,
  from_household bigint NOT NULL,
  to_household bigint,
  PRIMARY KEY (shard, person_id, moved_at)
);
