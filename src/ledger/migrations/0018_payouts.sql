-- Up Migration

-- Where merchants are paid to. A version is proposed by one person and is in force once another has agreed; none is ever changed or deleted.
CREATE TABLE merchant_bank_account (
  merchant_id bigint NOT NULL REFERENCES merchant,
  version integer NOT NULL CHECK (version > 0),
  iban text NOT NULL CHECK (iban ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$'),
  bic text CHECK (bic ~ '^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$'),
  holder_name text NOT NULL CHECK (length(holder_name) BETWEEN 1 AND 140),
  state text NOT NULL CHECK (state IN ('proposed', 'in-force', 'replaced', 'refused')),
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  decided_at timestamptz,
  PRIMARY KEY (merchant_id, version),
  CHECK ((state = 'proposed') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX merchant_bank_account_in_force ON merchant_bank_account (merchant_id) WHERE state = 'in-force';
CREATE UNIQUE INDEX merchant_bank_account_proposed ON merchant_bank_account (merchant_id) WHERE state = 'proposed';

-- A merchant is paid nothing while one of its holds is not lifted. `cause`: an officer's, or that of a returned payout, which another bank account lifts.
CREATE TABLE merchant_hold (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  merchant_id bigint NOT NULL REFERENCES merchant,
  cause text NOT NULL CHECK (cause IN ('officer', 'returned')),
  reason text NOT NULL,
  placed_by text NOT NULL,
  placed_at timestamptz NOT NULL,
  lifted_by text,
  lifted_at timestamptz,
  lifted_reason text,
  CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
);
CREATE INDEX merchant_hold_open ON merchant_hold (merchant_id) WHERE lifted_at IS NULL;
CREATE INDEX merchant_hold_merchant ON merchant_hold (merchant_id, id);

-- A run pays merchants what they are owed up to `until_day`. One waits for a decision at a time. What the bank gets is fixed when it is approved, so that a file which is made
-- again later has the same bytes. `payouts` and `amount` are its control sums.
CREATE TABLE payout_run (
  shard smallint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  until_day date NOT NULL,
  state text NOT NULL DEFAULT 'prepared' CHECK (state IN ('prepared', 'approved', 'cancelled')),
  prepared_by text NOT NULL,
  prepared_at timestamptz NOT NULL,
  payouts integer NOT NULL DEFAULT 0,
  amount bigint NOT NULL DEFAULT 0,
  left_out integer NOT NULL DEFAULT 0,
  proposal_id text,
  decided_at timestamptz,
  message_id text UNIQUE,
  execution_day date,
  debtor_name text,
  debtor_iban text,
  debtor_bic text,
  PRIMARY KEY (shard, id),
  CHECK ((state = 'prepared') = (decided_at IS NULL)),
  CHECK ((state = 'approved') = (message_id IS NOT NULL)),
  CHECK ((message_id IS NULL) = (execution_day IS NULL) AND (message_id IS NULL) = (debtor_name IS NULL) AND (message_id IS NULL) = (debtor_iban IS NULL))
);
CREATE UNIQUE INDEX payout_run_one_prepared ON payout_run (shard) WHERE state = 'prepared';

-- A merchant is paid its positions of the days after `after_day` (null: from the first on) up to `until_day`. Each payout begins where another has ended and no two begin or end on
-- the same day: so the payouts of a merchant are one chain, and no day is paid twice. Those of a run that is not approved are deleted, which gives their days back.
-- The bank account is as it was when the run was prepared. `event_number` is that of its posting.
CREATE TABLE payout (
  shard smallint NOT NULL,
  merchant_id bigint NOT NULL,
  after_day date,
  until_day date NOT NULL,
  run_id bigint NOT NULL,
  ordinal integer NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  account_version integer NOT NULL,
  iban text NOT NULL,
  bic text,
  holder_name text NOT NULL,
  state text NOT NULL DEFAULT 'prepared' CHECK (state IN ('prepared', 'paid', 'executed', 'returned')),
  end_to_end_id text,
  event_number bigint,
  executed_on date,
  returned_on date,
  return_reason text,
  returned_event bigint,
  PRIMARY KEY (shard, merchant_id, until_day),
  UNIQUE NULLS NOT DISTINCT (shard, merchant_id, after_day),
  UNIQUE (shard, run_id, ordinal),
  UNIQUE (shard, end_to_end_id),
  FOREIGN KEY (shard, merchant_id, after_day) REFERENCES payout (shard, merchant_id, until_day),
  FOREIGN KEY (shard, run_id) REFERENCES payout_run (shard, id),
  FOREIGN KEY (merchant_id, account_version) REFERENCES merchant_bank_account,
  CHECK (after_day < until_day),
  CHECK ((state = 'prepared') = (end_to_end_id IS NULL) AND (state = 'prepared') = (event_number IS NULL)),
  CHECK (state <> 'executed' OR executed_on IS NOT NULL),
  CHECK ((state = 'returned') = (returned_on IS NOT NULL) AND (state = 'returned') = (return_reason IS NOT NULL)
    AND (state = 'returned') = (returned_event IS NOT NULL))
);

-- Of which accounts of the merchant a payout is: `net` is the position of one, and the sum of all of them is the payout's amount. `paid` is what of it leaves through the bank; the
-- rest is set off against accounts of the same merchant that are below zero. Without a foreign key: it would take as long as everything else, and the auditor looks.
CREATE TABLE payout_part (
  shard smallint NOT NULL,
  merchant_id bigint NOT NULL,
  until_day date NOT NULL,
  code smallint NOT NULL CHECK (code BETWEEN 2200 AND 2299),
  net bigint NOT NULL CHECK (net <> 0),
  paid bigint NOT NULL CHECK (paid BETWEEN 0 AND GREATEST(net, 0)),
  PRIMARY KEY (shard, merchant_id, until_day, code)
);
CREATE INDEX payout_part_set_off ON payout_part (shard, merchant_id) WHERE net <> paid;

-- Whom a run does not pay, and why: their positions stay for the next one.
CREATE TABLE payout_left (
  shard smallint NOT NULL,
  run_id bigint NOT NULL,
  merchant_id bigint NOT NULL REFERENCES merchant,
  amount bigint NOT NULL,
  reason text NOT NULL CHECK (reason IN ('held', 'no-bank-account', 'negative', 'below-minimum', 'account-changed')),
  PRIMARY KEY (shard, run_id, merchant_id),
  FOREIGN KEY (shard, run_id) REFERENCES payout_run (shard, id)
);

-- What was sent to the bank stays as it was sent; what becomes of it may be added.
CREATE FUNCTION keep_payout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'prepared' THEN
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' OR (NEW.merchant_id, NEW.after_day, NEW.until_day, NEW.run_id, NEW.ordinal, NEW.amount, NEW.iban, NEW.bic, NEW.holder_name,
    NEW.end_to_end_id, NEW.event_number) IS DISTINCT FROM (OLD.merchant_id, OLD.after_day, OLD.until_day, OLD.run_id, OLD.ordinal, OLD.amount, OLD.iban, OLD.bic,
    OLD.holder_name, OLD.end_to_end_id, OLD.event_number) OR OLD.state = 'returned' THEN
    RAISE EXCEPTION 'payout % was sent to the bank: it stays as it is', OLD.end_to_end_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER keep_payout BEFORE UPDATE OR DELETE ON payout FOR EACH ROW EXECUTE FUNCTION keep_payout();

-- What one merchant is owed by its accounts: the positions of the days after `p_after` up to `p_until`. What payouts have set off between its own accounts is in the positions of the day
-- on which that was posted, and is no position: it is taken out again.
-- Locks: none.
CREATE FUNCTION payable_parts(p_shard smallint, p_merchant bigint, p_after date, p_until date) RETURNS TABLE (code smallint, net bigint)
LANGUAGE sql STABLE AS $$
  SELECT s.code, sum(s.net)::bigint
  FROM (
    SELECT o.code, o.net FROM outlet_position o
    WHERE o.shard = p_shard AND o.merchant_id = p_merchant AND o.day > coalesce(p_after, '-infinity') AND o.day <= p_until
    UNION ALL
    SELECT pp.code, pp.net - pp.paid
    FROM payout_part pp
      JOIN payout p ON p.shard = pp.shard AND p.merchant_id = pp.merchant_id AND p.until_day = pp.until_day
      JOIN business_day d ON d.shard = p.shard AND p.event_number > d.after AND p.event_number <= d.until
    WHERE pp.shard = p_shard AND pp.merchant_id = p_merchant AND pp.net <> pp.paid AND d.day > coalesce(p_after, '-infinity') AND d.day <= p_until
  ) s
  GROUP BY s.code HAVING sum(s.net) <> 0
$$;

-- The steps of preparing a run, in the SQL transaction that made it. There is one such run at a time, which keeps others out. Each step is cut into statements that are short enough for
-- somebody at a desk, however many merchants there are.
--
-- First, what merchants are owed up to `p_until` and is in no payout yet, by their accounts, with what decides whether it is paid: into a table of this SQL transaction, so that
-- what follows is planned by what was found. The merchants are those of share `p_share` of `p_shares`; share 0 comes first.
-- Locks: none.
CREATE FUNCTION find_owed(p_shard smallint, p_until date, p_minimum bigint, p_share integer, p_shares integer) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  IF p_share = 0 THEN
    CREATE TEMPORARY TABLE owed_part (
      merchant_id bigint, acceptor_id text, after_day date, version integer, iban text, bic text, holder_name text, code smallint, net bigint,
      amount bigint, place integer, above bigint, below bigint, reason text
    ) ON COMMIT DROP;
  END IF;
  INSERT INTO owed_part
  SELECT w.*,
    CASE
      WHEN w.amount = 0 THEN 'nothing'
      WHEN EXISTS (SELECT 1 FROM merchant_hold h WHERE h.merchant_id = w.merchant_id AND h.lifted_at IS NULL) THEN 'held'
      WHEN w.amount < 0 THEN 'negative'
      WHEN w.amount < p_minimum THEN 'below-minimum'
      WHEN w.version IS NULL THEN 'no-bank-account'
    END AS reason
  FROM (
    SELECT m.id AS merchant_id, m.acceptor_id, l.until_day AS after_day, b.version, b.iban, b.bic, b.holder_name, k.code, k.net,
      sum(k.net) OVER outlet AS amount, row_number() OVER accounts AS place,
      sum(GREATEST(k.net, 0)) OVER accounts AS above, sum(GREATEST(-k.net, 0)) OVER outlet AS below
    FROM merchant m
      LEFT JOIN merchant_bank_account b ON b.merchant_id = m.id AND b.state = 'in-force'
      LEFT JOIN LATERAL (
        SELECT p.until_day FROM payout p WHERE p.shard = p_shard AND p.merchant_id = m.id ORDER BY p.until_day DESC LIMIT 1
      ) l ON true
      CROSS JOIN LATERAL payable_parts(p_shard, m.id, l.until_day, p_until) k
    WHERE m.id % p_shares = p_share
    WINDOW outlet AS (PARTITION BY m.id), accounts AS (PARTITION BY m.id ORDER BY k.code)
  ) w;
END
$$;

-- Then a payout each, in the order of DE 42: those with a place above `p_after` up to `p_upto`. Result: whether there are more.
CREATE FUNCTION take_up_payouts(p_shard smallint, p_run bigint, p_until date, p_after integer, p_upto integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO payout (shard, merchant_id, after_day, until_day, run_id, ordinal, amount, account_version, iban, bic, holder_name)
  SELECT p_shard, s.merchant_id, s.after_day, p_until, p_run, s.ordinal, s.amount, s.version, s.iban, s.bic, s.holder_name
  FROM (SELECT o.*, row_number() OVER (ORDER BY o.acceptor_id) AS ordinal FROM owed_part o WHERE o.place = 1 AND o.reason IS NULL) s
  WHERE s.ordinal > p_after AND s.ordinal <= p_upto;
  RETURN (SELECT count(*) > p_upto FROM owed_part o WHERE o.place = 1 AND o.reason IS NULL);
END
$$;

-- Then their accounts, where what those below zero come to is set off against the others in their order; and whom it does not pay, with the reason.
CREATE FUNCTION take_up_parts(p_shard smallint, p_run bigint, p_until date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO payout_part (shard, merchant_id, until_day, code, net, paid)
  SELECT p_shard, s.merchant_id, p_until, s.code, s.net, CASE WHEN s.net > 0 THEN LEAST(s.net, GREATEST(0, s.above - s.below)) ELSE 0 END
  FROM owed_part s WHERE s.reason IS NULL;
  INSERT INTO payout_left (shard, run_id, merchant_id, amount, reason)
  SELECT p_shard, p_run, s.merchant_id, s.amount, s.reason FROM owed_part s WHERE s.place = 1 AND s.reason <> 'nothing';
  DROP TABLE owed_part;
  -- What follows is planned by what is there now.
  ANALYZE payout, payout_part;
  PERFORM sum_up_run(p_shard, p_run);
END
$$;

-- Writes the control sums of a run that waits.
CREATE FUNCTION sum_up_run(p_shard smallint, p_run bigint) RETURNS void LANGUAGE sql AS $$
  UPDATE payout_run r SET
    payouts = (SELECT count(*) FROM payout p WHERE p.shard = p_shard AND p.run_id = p_run),
    amount = (SELECT coalesce(sum(p.amount), 0) FROM payout p WHERE p.shard = p_shard AND p.run_id = p_run),
    left_out = (SELECT count(*) FROM payout_left l WHERE l.shard = p_shard AND l.run_id = p_run)
  WHERE r.shard = p_shard AND r.id = p_run
$$;

-- Takes out of a run that waits whoever was held, or has another bank account, since it was prepared.
-- Locks: the run's row, which the caller has locked.
CREATE FUNCTION revise_payouts(p_shard smallint, p_run bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH gone AS (
    DELETE FROM payout p
    USING (
      SELECT q.merchant_id, q.until_day, CASE WHEN h.merchant_id IS NULL THEN 'account-changed' ELSE 'held' END AS reason
      FROM payout q
        LEFT JOIN merchant_bank_account b ON b.merchant_id = q.merchant_id AND b.state = 'in-force'
        LEFT JOIN (SELECT DISTINCT merchant_id FROM merchant_hold WHERE lifted_at IS NULL) h ON h.merchant_id = q.merchant_id
      WHERE q.shard = p_shard AND q.run_id = p_run AND (h.merchant_id IS NOT NULL OR b.version IS DISTINCT FROM q.account_version)
    ) w
    WHERE p.shard = p_shard AND p.merchant_id = w.merchant_id AND p.until_day = w.until_day
    RETURNING p.merchant_id, p.until_day, p.amount, w.reason
  ), parts AS (
    DELETE FROM payout_part k USING gone g WHERE k.shard = p_shard AND k.merchant_id = g.merchant_id AND k.until_day = g.until_day
  )
  INSERT INTO payout_left (shard, run_id, merchant_id, amount, reason) SELECT p_shard, p_run, g.merchant_id, g.amount, g.reason FROM gone g;
  PERFORM sum_up_run(p_shard, p_run);
END
$$;

-- Gives the days of a run that waits back.
-- Locks: the run's row, which the caller has locked.
CREATE FUNCTION give_back_payouts(p_shard smallint, p_run bigint) RETURNS void LANGUAGE sql AS $$
  WITH gone AS (DELETE FROM payout p WHERE p.shard = p_shard AND p.run_id = p_run RETURNING p.merchant_id, p.until_day)
  DELETE FROM payout_part k USING gone g WHERE k.shard = p_shard AND k.merchant_id = g.merchant_id AND k.until_day = g.until_day
$$;

-- Posts payouts of a run that was approved, those with a place above `p_after` up to `p_upto`, under one event number for all of the run: 22xx / 1000 of what leaves through the bank,
-- 22xx / 22xx of what is set off between accounts of the same merchant, so that each account comes to zero for the days that are paid.
-- Locks: the run's row, which the caller has locked.
CREATE FUNCTION post_payouts(p_shard smallint, p_run bigint, p_event bigint, p_at timestamptz, p_made_by text, p_after integer, p_upto integer) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  UPDATE payout p SET state = 'paid', end_to_end_id = r.message_id || '-' || p.ordinal, event_number = p_event
  FROM payout_run r WHERE r.shard = p_shard AND r.id = p_run AND p.shard = p_shard AND p.run_id = p_run AND p.ordinal > p_after AND p.ordinal <= p_upto;
  INSERT INTO book_entry (shard, key, event_number, at, kind, value_date, reference, made_by, note)
  SELECT p_shard, 'payout|' || p.end_to_end_id, p_event, p_at, 'payout', r.execution_day, p.end_to_end_id, p_made_by, NULL
  FROM payout p JOIN payout_run r ON r.shard = p.shard AND r.id = p.run_id
  WHERE p.shard = p_shard AND p.run_id = p_run AND p.ordinal > p_after AND p.ordinal <= p_upto;
  INSERT INTO book_transfer (shard, event_number, key, ordinal, debit_code, debit_owner, credit_code, credit_owner, amount)
  WITH line AS MATERIALIZED (
    SELECT p.merchant_id, p.end_to_end_id, k.code, k.net, k.paid, k.net - k.paid AS rest
    FROM payout p JOIN payout_part k ON k.shard = p.shard AND k.merchant_id = p.merchant_id AND k.until_day = p.until_day
    WHERE p.shard = p_shard AND p.run_id = p_run AND p.ordinal > p_after AND p.ordinal <= p_upto
  ), piece AS MATERIALIZED (
    -- Each account above zero and each below it has its piece of one line, as long as what is to be set off; where two pieces lie side by side there is a transfer.
    SELECT l.merchant_id, l.end_to_end_id, l.code, l.rest, sum(abs(l.rest)) OVER side - abs(l.rest) AS begins, sum(abs(l.rest)) OVER side AS ends
    FROM line l WHERE l.rest <> 0
    WINDOW side AS (PARTITION BY l.merchant_id, sign(l.rest) ORDER BY l.code)
  )
  SELECT p_shard, p_event, 'payout|' || t.end_to_end_id, row_number() OVER (PARTITION BY t.merchant_id ORDER BY t.debit_code, t.credit_code),
    t.debit_code, t.merchant_id, t.credit_code, CASE t.credit_code WHEN 1000 THEN 0 ELSE t.merchant_id END, t.amount
  FROM (
    SELECT l.merchant_id, l.end_to_end_id, l.code AS debit_code, 1000::smallint AS credit_code, l.paid AS amount FROM line l WHERE l.paid > 0
    UNION ALL
    SELECT a.merchant_id, a.end_to_end_id, a.code, b.code, LEAST(a.ends, b.ends) - GREATEST(a.begins, b.begins)
    FROM piece a JOIN piece b ON b.merchant_id = a.merchant_id AND a.rest > 0 AND b.rest < 0 AND LEAST(a.ends, b.ends) > GREATEST(a.begins, b.begins)
  ) t;
END
$$;
