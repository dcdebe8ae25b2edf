-- Up Migration

-- What takes seconds is done in pieces, each a SQL transaction of its own, so that events (event_number, 0008_card_life.sql) do not wait for all of it: a run of payouts is posted, and a
-- statement of the bank taken and matched (spec/payouts.md, spec/bank.md).

-- An approved run is `posting` until all of its payouts are posted: `posted` of them, those with a place up to `reached`. Only then there is a file of it.
ALTER TABLE payout_run
  ADD COLUMN posted integer NOT NULL DEFAULT 0,
  ADD COLUMN reached integer NOT NULL DEFAULT 0,
  ADD COLUMN approved_by text,
  DROP CONSTRAINT payout_run_state_check,
  DROP CONSTRAINT payout_run_check1;
UPDATE payout_run SET posted = payouts WHERE state = 'approved';
ALTER TABLE payout_run
  ADD CONSTRAINT payout_run_state_check CHECK (state IN ('prepared', 'posting', 'approved', 'cancelled')),
  ADD CONSTRAINT payout_run_approved CHECK ((state IN ('posting', 'approved')) = (message_id IS NOT NULL)),
  ADD CONSTRAINT payout_run_posted CHECK (CASE state WHEN 'approved' THEN posted = payouts WHEN 'posting' THEN posted <= payouts ELSE posted = 0 END);
DROP INDEX payout_run_one_prepared;
-- The next one is prepared when all of this is posted.
CREATE UNIQUE INDEX payout_run_one_open ON payout_run (shard) WHERE state IN ('prepared', 'posting');
CREATE INDEX payout_run_posting ON payout_run (shard, id) WHERE state = 'posting';

-- Posts the next `p_count` payouts of a run that is posting, under an event number of their own; with the last of them the run is approved.
-- Locks: the run's row.
-- Result: whether there are more.
CREATE FUNCTION post_next_payouts(p_shard smallint, p_run bigint, p_at timestamptz, p_count integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_run payout_run;
  v_upto integer;
  v_count integer;
BEGIN
  SELECT * INTO v_run FROM payout_run WHERE shard = p_shard AND id = p_run FOR UPDATE;
  IF v_run.state IS DISTINCT FROM 'posting' THEN RETURN false; END IF;
  SELECT max(ordinal), count(*) INTO v_upto, v_count FROM (
    SELECT ordinal FROM payout WHERE shard = p_shard AND run_id = p_run AND ordinal > v_run.reached ORDER BY ordinal LIMIT p_count
  ) s;
  IF v_count = 0 AND v_run.posted < v_run.payouts THEN
    -- Whoever posts goes on as long as there are more.
    RAISE EXCEPTION 'payout run % has % payouts, of which only % are there: look at it with `sarf audit`', p_run, v_run.payouts, v_run.posted;
  END IF;
  IF v_count > 0 THEN
    -- The SQL transaction has an id before it takes an event number.
    PERFORM pg_current_xact_id();
    PERFORM post_payouts(p_shard, p_run, nextval('event_number'), p_at, v_run.approved_by, v_run.reached, v_upto);
  END IF;
  UPDATE payout_run SET posted = posted + v_count, reached = coalesce(v_upto, reached),
    state = CASE WHEN v_run.posted + v_count = payouts THEN 'approved' ELSE state END
  WHERE shard = p_shard AND id = p_run;
  RETURN v_run.posted + v_count < v_run.payouts;
END
$$;

-- A statement that is being taken. While it is `arriving` its entries are put down in pieces (`reached`: of how many), and nobody sees them; with its row in bank_statement all of them are
-- taken, at once. Then they are matched, in pieces too: those that name something (`named`), what is left, by amount (`rest`), what came back (`returned`); `reached` is the last
-- entry that was looked at. Its row goes when that is done. Another file of the same name that comes before it is taken begins anew, with the next `arrival`.
CREATE TABLE bank_arrival (
  shard smallint NOT NULL,
  account text NOT NULL,
  statement_id text NOT NULL,
  fingerprint text NOT NULL,
  arrival integer NOT NULL DEFAULT 0,
  phase text NOT NULL DEFAULT 'arriving' CHECK (phase IN ('arriving', 'named', 'rest', 'returned')),
  reached integer NOT NULL DEFAULT 0,
  begun_at timestamptz NOT NULL,
  begun_by text NOT NULL,
  PRIMARY KEY (shard, account, statement_id)
);
-- Entries are there before their statement is. One of the same name that comes instead of another that was never taken is another `arrival`; what was put down of the first stays unseen.
ALTER TABLE bank_statement ADD COLUMN arrival integer NOT NULL DEFAULT 0;
ALTER TABLE bank_entry
  ADD COLUMN arrival integer NOT NULL DEFAULT 0,
  DROP CONSTRAINT bank_entry_shard_account_statement_id_fkey,
  DROP CONSTRAINT bank_entry_shard_account_statement_id_ordinal_key,
  ADD CONSTRAINT bank_entry_place UNIQUE (shard, account, statement_id, arrival, ordinal);

-- Where one entry is several loadings of machines, or several days' deposits, or a part of one: of which it is. Its row in bank_match is `atm-loads` or `deposit-days` then. What is matched of
-- one is never more than it came to.
ALTER TABLE bank_match DROP CONSTRAINT bank_match_kind_check;
ALTER TABLE bank_match ADD CONSTRAINT bank_match_kind_check
  CHECK (kind IN ('payout', 'payout-return', 'claims', 'deposits', 'deposit-days', 'atm-load', 'atm-loads', 'suspense'));
DROP INDEX bank_match_once;
CREATE UNIQUE INDEX bank_match_once ON bank_match (shard, kind, what) WHERE kind NOT IN ('claims', 'suspense', 'deposit-days', 'atm-loads');
CREATE TABLE bank_match_part (
  shard smallint NOT NULL,
  entry_id bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('deposits', 'atm-load')),
  what text NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  PRIMARY KEY (shard, entry_id, what),
  FOREIGN KEY (shard, entry_id) REFERENCES bank_match
);
CREATE INDEX bank_match_part_what ON bank_match_part (shard, kind, what);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bank_match_part FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Those that the bank has not told of: looked for every few seconds.
CREATE INDEX payout_unconfirmed ON payout (shard, run_id) WHERE state = 'paid';
