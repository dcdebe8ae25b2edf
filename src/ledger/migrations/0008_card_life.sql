-- Up Migration

-- The life of cards beside what a message needs: who changes them, when, why, and who is told. Every change is one SQL transaction with its
-- audit record and its event (src/ledger/programme/). Nothing here is read on a message's way.

-- Where cards are collected. `kind` says who works there; the Diwan of a governorate has what was not collected within the first month.
CREATE TABLE place (
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{1,39}$'),
  kind text NOT NULL CHECK (kind IN ('post-office', 'supply-office', 'uhi-centre', 'diwan')),
  governorate smallint NOT NULL,
  name_ar text NOT NULL,
  name_en text NOT NULL,
  address text NOT NULL DEFAULT '',
  version bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX place_diwan ON place (governorate) WHERE kind = 'diwan';

-- What is known of a card's life. `place_id` is where it is collected; `told_at` is T0, the receipt of the SMS that named the place; the two days are
-- the last on which it is handed over there, and at the Diwan. `replaces` is the card it takes the place of, for `reason`; `due_day` the last day of
-- the promise to print it. `fee` is what the holder has to pay for it, piasters, `fee_paid` how: null, not yet. `fingerprint_reference` names the
-- enrolment in the fingerprint system, never a template. `next_day` is the first Cairo day on which a clock has to look at the card again.
CREATE TABLE card_life (
  shard smallint NOT NULL,
  token text NOT NULL,
  order_id text,
  ordered_at timestamptz,
  printed_at timestamptz,
  place_id text REFERENCES place,
  told_at timestamptz,
  named_place_until date,
  diwan_until date,
  handed_over_at timestamptz,
  handed_over_place text REFERENCES place,
  fingerprint_reference text,
  replaces text,
  reason text CHECK (reason IN ('new', 'lost', 'stolen', 'damaged', 'renewal')),
  fee bigint NOT NULL DEFAULT 0 CHECK (fee >= 0),
  fee_paid text CHECK (fee_paid IN ('counter', 'cash')),
  fee_key text,
  requested_at timestamptz,
  due_day date,
  ended_at timestamptz,
  reminded_at timestamptz,
  next_day date,
  PRIMARY KEY (shard, token)
) WITH (fillfactor = 80);
CREATE INDEX card_life_next_day ON card_life (next_day) WHERE next_day IS NOT NULL;
CREATE INDEX card_life_replaces ON card_life (shard, replaces) WHERE replaces IS NOT NULL;

-- Cards are found by the month they expire in, and by their person. Neither column changes.
CREATE INDEX card_expiry ON card (shard, expiry, token);
CREATE INDEX card_person ON card (shard, person_id) WHERE person_id IS NOT NULL;
CREATE INDEX person_household ON person (shard, household_id);

ALTER TABLE household ADD COLUMN version bigint NOT NULL DEFAULT 1;
-- `transaction_notices`: the holder asked for a message after each transaction. `language` of the messages.
ALTER TABLE person
  ADD COLUMN version bigint NOT NULL DEFAULT 1,
  ADD COLUMN died_on date,
  ADD COLUMN left_on date,
  ADD COLUMN language text NOT NULL DEFAULT 'ar' CHECK (language IN ('ar', 'en')),
  ADD COLUMN transaction_notices boolean NOT NULL DEFAULT false;

-- Numbers of households made by the API: above all of the demo programme. A person's id is the household's times 100 and a number from 1 on.
CREATE SEQUENCE household_number START 100000001;

-- The order in which events are told. A number is taken while the purses and cards that it concerns are locked and after the SQL transaction has an id, so
-- that for one card the order of numbers is that of commits; cached numbers would break that.
CREATE SEQUENCE event_number CACHE 1;

-- What happened to cards, households and entitlements other than by messages: the outbox. `data` holds no card number, national ID or mobile.
CREATE TABLE programme_event (
  number bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  kind text NOT NULL,
  shard smallint NOT NULL,
  card_token text,
  person_id bigint,
  household_id bigint,
  data jsonb NOT NULL DEFAULT '{}'
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON programme_event
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Who did what, in one chain: each record's hash covers the one before it. `outcome` is done or refused, `detail` what was asked and why it was refused.
CREATE TABLE audit_record (
  number bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  roles text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
  detail text NOT NULL,
  hash bytea NOT NULL
);
CREATE INDEX audit_record_subject ON audit_record (subject, number);
CREATE INDEX audit_record_actor ON audit_record (actor, number);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_record
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The end of the chain: one row.
CREATE TABLE audit_head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  number bigint NOT NULL,
  hash bytea NOT NULL
);
INSERT INTO audit_head (number, hash) VALUES (0, sha256('sarf audit'));

CREATE FUNCTION audit_hash(previous bytea, number bigint, at timestamptz, actor text, roles text, action text, subject text, outcome text, detail text)
RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(previous || convert_to(jsonb_build_array(number, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), actor, roles, action,
    subject, outcome, detail)::text, 'UTF8'))
$$;

-- Appends a record. To be called last in its SQL transaction: it holds the end of the chain until the commit.
CREATE FUNCTION append_audit(p_at timestamptz, p_actor text, p_roles text, p_action text, p_subject text, p_outcome text, p_detail text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  head audit_head;
BEGIN
  SELECT * INTO head FROM audit_head FOR UPDATE;
  head.hash := audit_hash(head.hash, head.number + 1, p_at, p_actor, p_roles, p_action, p_subject, p_outcome, p_detail);
  INSERT INTO audit_record (number, at, actor, roles, action, subject, outcome, detail, hash)
  VALUES (head.number + 1, p_at, p_actor, p_roles, p_action, p_subject, p_outcome, p_detail, head.hash);
  UPDATE audit_head SET number = head.number + 1, hash = head.hash;
  RETURN head.number + 1;
END
$$;

-- What an Idempotency-Key was answered. A key counts per caller.
CREATE TABLE api_request (
  actor text NOT NULL,
  key text NOT NULL,
  fingerprint text NOT NULL,
  at timestamptz NOT NULL,
  status smallint NOT NULL DEFAULT 0,
  answer text,
  PRIMARY KEY (actor, key)
);
CREATE INDEX api_request_at ON api_request (at);

-- What one person proposes and another has to agree to. `state` is open, approved, refused or withdrawn.
CREATE TABLE proposal (
  id text PRIMARY KEY,
  kind text NOT NULL,
  subject text NOT NULL,
  body jsonb NOT NULL,
  maker text NOT NULL,
  made_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'refused', 'withdrawn')),
  checker text,
  checked_at timestamptz,
  note text,
  result jsonb,
  CHECK ((state = 'open') = (checked_at IS NULL)),
  CHECK (state NOT IN ('approved', 'refused') OR checker <> maker)
);
CREATE INDEX proposal_open ON proposal (made_at) WHERE state = 'open';

-- Somebody who gave wrong identities too often may not try on before `until`.
CREATE TABLE lockout (
  actor text NOT NULL,
  purpose text NOT NULL,
  failures integer NOT NULL,
  since timestamptz NOT NULL,
  until timestamptz,
  PRIMARY KEY (actor, purpose)
);

-- Locks a card for a change, with the purses it may draw on: purses first, ORDER BY shard, id FOR NO KEY UPDATE, then the card, as commit_batch does.
-- Result: the household's and the person's ids, or no row where there is no such card.
CREATE FUNCTION lock_card(p_shard smallint, p_token text, OUT household_id bigint, OUT person_id bigint)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  v_household bigint;
BEGIN
  LOOP
    SELECT c.household_id INTO v_household FROM card c WHERE c.shard = p_shard AND c.token = p_token;
    IF NOT FOUND THEN RETURN; END IF;
    PERFORM 1 FROM purse p WHERE p.shard = p_shard AND p.household_id = v_household ORDER BY p.shard, p.id FOR NO KEY UPDATE;
    SELECT c.household_id, c.person_id INTO lock_card.household_id, lock_card.person_id
      FROM card c WHERE c.shard = p_shard AND c.token = p_token FOR NO KEY UPDATE;
    -- It has moved to another household meanwhile.
    IF lock_card.household_id = v_household THEN
      RETURN NEXT;
      RETURN;
    END IF;
  END LOOP;
END
$$;

-- Raises the gates of the purses that a card may draw on, so that whatever was decided before is looked at again. The purses are locked already.
CREATE FUNCTION raise_card_gates(p_shard smallint, p_token text) RETURNS void LANGUAGE sql AS $$
  UPDATE purse p SET gate = p.gate + 1
  FROM card c
  WHERE c.shard = p_shard AND c.token = p_token AND p.shard = p_shard AND p.household_id = c.household_id
    AND (p.person_id = c.person_id OR p.person_id IS NULL AND c.role <> 'member')
$$;
