-- Up Migration

-- The business day (spec/settlement.md): what the ledger has moved between two cut-offs, added up, and what follows from it: who is owed what, and by whom.
-- A transfer belongs to the day in whose range its event number lies: numbers ascend and every transfer has one, so that it belongs to exactly one day.

ALTER TABLE transfer ALTER COLUMN event_number SET DEFAULT nextval('event_number');

-- Postings that move no purse: payouts, what treasury and fund pay, cash of machines, what becomes of suspense. `key` makes each of them unique;
-- `value_date` is its own date, where it has one. It never touches the account of a purse: that is commit_batch's alone.
CREATE TABLE book_entry (
  shard smallint NOT NULL,
  key text NOT NULL,
  event_number bigint NOT NULL,
  at timestamptz NOT NULL,
  kind text NOT NULL,
  value_date date,
  reference text,
  made_by text NOT NULL,
  note text,
  PRIMARY KEY (shard, key)
);
CREATE INDEX book_entry_event ON book_entry (event_number);
CREATE TABLE book_transfer (
  shard smallint NOT NULL,
  event_number bigint NOT NULL,
  key text NOT NULL,
  ordinal smallint NOT NULL,
  debit_code smallint NOT NULL,
  debit_owner bigint NOT NULL,
  credit_code smallint NOT NULL,
  credit_owner bigint NOT NULL,
  unit smallint NOT NULL DEFAULT 1 CHECK (unit = 1),
  amount bigint NOT NULL CHECK (amount > 0),
  PRIMARY KEY (shard, key, ordinal),
  FOREIGN KEY (shard, key) REFERENCES book_entry,
  CHECK ((debit_code IN (1000, 1010, 2900, 4000) OR debit_code BETWEEN 1200 AND 1299 OR debit_code BETWEEN 2200 AND 2299)
    AND (credit_code IN (1000, 1010, 2900, 4000) OR credit_code BETWEEN 1200 AND 1299 OR credit_code BETWEEN 2200 AND 2299)),
  CHECK (debit_code <> credit_code OR debit_owner <> credit_owner)
);
CREATE INDEX book_transfer_event ON book_transfer (event_number);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON book_entry
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON book_transfer
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every transfer there is.
CREATE VIEW general_ledger AS
  SELECT shard, event_number, ordinal, debit_code, debit_owner, credit_code, credit_owner, unit, amount, key_date AS own_date,
    purse_id, purse_version, NULL::text AS book_key
  FROM transfer
  UNION ALL
  SELECT t.shard, t.event_number, t.ordinal, t.debit_code, t.debit_owner, t.credit_code, t.credit_owner, t.unit, t.amount, e.value_date,
    NULL, NULL, t.key
  FROM book_transfer t JOIN book_entry e ON e.shard = t.shard AND e.key = t.key;

-- Appends postings that move no purse; one whose key is there already is left alone. An entry's transfers are those with its 1-based position in `t_entry`.
-- Result: the keys that are new.
CREATE FUNCTION post_book(
  p_shard smallint, p_at timestamptz, p_key text[], p_kind text[], p_value_date date[], p_reference text[], p_made_by text[], p_note text[],
  t_entry integer[], t_debit_code smallint[], t_debit_owner bigint[], t_credit_code smallint[], t_credit_owner bigint[], t_amount bigint[]
) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  -- The SQL transaction has an id before it takes event numbers: see event_number (0008_card_life.sql).
  PERFORM pg_current_xact_id();
  RETURN QUERY
  WITH inserted AS (
    INSERT INTO book_entry AS b (shard, key, event_number, at, kind, value_date, reference, made_by, note)
    SELECT p_shard, e.key, nextval('event_number'), p_at, e.kind, e.value_date, e.reference, e.made_by, e.note
    FROM unnest(p_key, p_kind, p_value_date, p_reference, p_made_by, p_note) AS e(key, kind, value_date, reference, made_by, note)
    ORDER BY e.key
    ON CONFLICT (shard, key) DO NOTHING
    RETURNING b.key, b.event_number
  ), moved AS (
    INSERT INTO book_transfer (shard, event_number, key, ordinal, debit_code, debit_owner, credit_code, credit_owner, amount)
    SELECT p_shard, i.event_number, i.key, row_number() OVER (PARTITION BY i.key ORDER BY t.ord), t.debit_code, t.debit_owner, t.credit_code, t.credit_owner, t.amount
    FROM unnest(t_entry, t_debit_code, t_debit_owner, t_credit_code, t_credit_owner, t_amount) WITH ORDINALITY
        AS t(entry, debit_code, debit_owner, credit_code, credit_owner, amount, ord)
      JOIN inserted i ON i.key = p_key[t.entry]
  )
  SELECT i.key FROM inserted i;
END
$$;

-- At `at` the highest event number was `number`, and everything up to it is final. So an instant between two marks has a number, whoever asks and whenever.
CREATE TABLE event_mark (
  shard smallint NOT NULL,
  at timestamptz NOT NULL,
  number bigint NOT NULL,
  PRIMARY KEY (shard, at)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_mark
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A day has the numbers above `after` up to `until`; of the day that is open `until` is null. `cut_at` is its cut-off, `closed_at` when it was added up
-- and closed, and by whom.
CREATE TABLE business_day (
  shard smallint NOT NULL,
  day date NOT NULL,
  after bigint NOT NULL,
  until bigint CHECK (until >= after),
  cut_at timestamptz,
  closed_at timestamptz CHECK (until IS NOT NULL OR closed_at IS NULL),
  closed_by text,
  PRIMARY KEY (shard, day),
  CHECK ((until IS NULL) = (cut_at IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL))
);
CREATE UNIQUE INDEX business_day_open ON business_day (shard) WHERE until IS NULL;

-- The event number up to which transfers have been added up. Its row is the lock of whoever marks, cuts, adds up or closes.
CREATE TABLE day_progress (
  shard smallint PRIMARY KEY,
  until bigint NOT NULL
);

-- What moved on a day, added up: from one account of the chart to another, by outlet. `merchant_id` is the outlet's, of loaves too; 0 where there is none.
-- `terminal_id` is the machine's whose cash (1010) moved. `service` is the kind of purse for which treasury pays, where it does. `governorate` is the
-- outlet's when it was added up.
CREATE TABLE day_flow (
  shard smallint NOT NULL,
  day date NOT NULL,
  merchant_id bigint NOT NULL,
  terminal_id bigint NOT NULL,
  governorate smallint NOT NULL,
  service smallint NOT NULL,
  debit_code smallint NOT NULL,
  credit_code smallint NOT NULL,
  unit smallint NOT NULL,
  transfers bigint NOT NULL,
  amount bigint NOT NULL,
  PRIMARY KEY (shard, day, merchant_id, terminal_id, governorate, service, debit_code, credit_code, unit)
) WITH (fillfactor = 50);

-- The books at the end of a day that is closed: `balance` is debits less credits, of all days up to it.
CREATE TABLE day_total (
  shard smallint NOT NULL,
  day date NOT NULL,
  code smallint NOT NULL,
  unit smallint NOT NULL,
  debits bigint NOT NULL,
  credits bigint NOT NULL,
  balance bigint NOT NULL,
  PRIMARY KEY (shard, day, unit, code)
);

-- What an outlet has earned on a day, on each of its accounts: credits less debits, payouts left out. A payout that came back is in it.
CREATE TABLE outlet_position (
  shard smallint NOT NULL,
  day date NOT NULL,
  merchant_id bigint NOT NULL,
  code smallint NOT NULL,
  debits bigint NOT NULL,
  credits bigint NOT NULL,
  net bigint GENERATED ALWAYS AS (credits - debits) STORED,
  PRIMARY KEY (shard, day, merchant_id, code)
);
CREATE INDEX outlet_position_merchant ON outlet_position (shard, merchant_id, day);

-- What treasury (or the fund) owes for a day, by service and the outlets' governorate: `units` of the entitlement, `amount` piasters. Below zero where more was given back than sold.
CREATE TABLE claim (
  shard smallint NOT NULL,
  day date NOT NULL,
  payer_code smallint NOT NULL,
  service smallint NOT NULL,
  governorate smallint NOT NULL,
  units bigint NOT NULL,
  amount bigint NOT NULL,
  PRIMARY KEY (shard, day, payer_code, service, governorate)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON day_total
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON outlet_position
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON claim
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The highest event number of what was decided before an instant. Numbers and clocks do not ascend together (a decision takes its number when it has its locks), so
-- it is found between two marks, where everything is final: the answer is the same for ever.
-- Result: null where no mark is at or after the instant yet; 0 where nothing is before it.
CREATE FUNCTION event_number_before(p_shard smallint, p_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT GREATEST(
    coalesce(m.before, 0),
    (SELECT max(a.event_number) FROM "authorization" a
      WHERE a.shard = p_shard AND a.event_number > coalesce(m.before, 0) AND a.event_number <= m.upto AND a.decided_at < p_at),
    (SELECT max(b.event_number) FROM book_entry b
      WHERE b.shard = p_shard AND b.event_number > coalesce(m.before, 0) AND b.event_number <= m.upto AND b.at < p_at)
  )
  FROM (
    SELECT (SELECT number FROM event_mark WHERE shard = p_shard AND at < p_at ORDER BY at DESC LIMIT 1) AS before,
      (SELECT number FROM event_mark WHERE shard = p_shard AND at >= p_at ORDER BY at LIMIT 1) AS upto
  ) m
  WHERE m.upto IS NOT NULL
$$;

-- Adds up transfers from where the last call stopped to event number `p_until`, which is final, at most `p_count` numbers and never more than one day of them.
-- Loaves and units have no outlet in their own transfer: theirs is that of the transfers of the same number beside it; so is a payer's service.
-- Locks: the shard's row of day_progress; then day_flow in the order of its key.
-- Result: the number up to which it is added up now.
CREATE FUNCTION add_up_days(p_shard smallint, p_until bigint, p_count integer) RETURNS bigint LANGUAGE plpgsql
-- A range is worth a plan of its own: one for any range would take it for a large part of the ledger.
SET plan_cache_mode = force_custom_plan SET work_mem = '128MB' AS $$
DECLARE
  v_from bigint;
  v_until bigint;
  v_day business_day;
BEGIN
  SELECT until INTO v_from FROM day_progress WHERE shard = p_shard FOR UPDATE;
  SELECT d.* INTO v_day FROM business_day d WHERE d.shard = p_shard AND (d.until IS NULL OR d.until > v_from) ORDER BY d.day LIMIT 1;
  IF v_from IS NULL OR v_day.day IS NULL THEN RETURN v_from; END IF;
  v_until := LEAST(p_until, v_from + p_count, v_day.until);
  IF v_until <= v_from THEN RETURN v_from; END IF;
  INSERT INTO day_flow AS f (shard, day, merchant_id, terminal_id, governorate, service, debit_code, credit_code, unit, transfers, amount)
  SELECT p_shard, v_day.day, m.merchant_id, m.terminal_id, coalesce(o.governorate, 0), m.service, m.debit_code, m.credit_code, m.unit,
    sum(m.transfers), sum(m.amount)
  FROM (
    SELECT e.merchant_id, e.terminal_id, CASE WHEN e.payer THEN coalesce(e.service, 0) ELSE 0 END AS service, e.debit_code, e.credit_code, e.unit,
      count(*) AS transfers, sum(e.amount) AS amount
    FROM (
      SELECT t.debit_code, t.credit_code, t.unit, t.amount,
        coalesce(max(CASE WHEN t.debit_code BETWEEN 2200 AND 2299 THEN t.debit_owner WHEN t.credit_code BETWEEN 2200 AND 2299 THEN t.credit_owner END) OVER same, 0)
          AS merchant_id,
        CASE WHEN t.debit_code = 1010 THEN t.debit_owner WHEN t.credit_code = 1010 THEN t.credit_owner ELSE 0 END AS terminal_id,
        t.debit_code BETWEEN 1200 AND 1299 OR t.credit_code BETWEEN 1200 AND 1299 AS payer,
        max(k.kind) OVER same AS service
      FROM transfer t LEFT JOIN purse_kind k ON k.unit <> 1 AND k.account IN (t.debit_code, t.credit_code)
      WHERE t.shard = p_shard AND t.event_number > v_from AND t.event_number <= v_until
      WINDOW same AS (PARTITION BY t.event_number)
    ) e
    GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    SELECT CASE WHEN b.debit_code BETWEEN 2200 AND 2299 THEN b.debit_owner WHEN b.credit_code BETWEEN 2200 AND 2299 THEN b.credit_owner ELSE 0 END,
      CASE WHEN b.debit_code = 1010 THEN b.debit_owner WHEN b.credit_code = 1010 THEN b.credit_owner ELSE 0 END,
      0, b.debit_code, b.credit_code, b.unit, count(*), sum(b.amount)
    FROM book_transfer b
    WHERE b.shard = p_shard AND b.event_number > v_from AND b.event_number <= v_until
    GROUP BY 1, 2, 4, 5, 6
  ) m
    LEFT JOIN merchant o ON o.id = m.merchant_id
  GROUP BY 3, 4, 5, 6, 7, 8, 9
  ORDER BY 3, 4, 5, 6, 7, 8, 9
  ON CONFLICT (shard, day, merchant_id, terminal_id, governorate, service, debit_code, credit_code, unit)
    DO UPDATE SET transfers = f.transfers + EXCLUDED.transfers, amount = f.amount + EXCLUDED.amount;
  UPDATE day_progress SET until = v_until WHERE shard = p_shard;
  RETURN v_until;
END
$$;

-- Closes a day that was cut and is added up, after the one before it. It may be called again: a day is closed once.
-- Locks: the shard's row of day_progress.
-- Result: `closed` by this call; `closed before`; `open`: not cut yet; `not added up`; `day before`: that is not closed yet; null: no such day.
CREATE FUNCTION close_day(p_shard smallint, p_day date, p_at timestamptz, p_by text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_added bigint;
  v_day business_day;
BEGIN
  SELECT until INTO v_added FROM day_progress WHERE shard = p_shard FOR UPDATE;
  SELECT d.* INTO v_day FROM business_day d WHERE d.shard = p_shard AND d.day = p_day;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF v_day.closed_at IS NOT NULL THEN RETURN 'closed before'; END IF;
  IF v_day.until IS NULL THEN RETURN 'open'; END IF;
  IF v_added IS NULL OR v_added < v_day.until THEN RETURN 'not added up'; END IF;
  IF EXISTS (SELECT FROM business_day d WHERE d.shard = p_shard AND d.day < p_day AND d.closed_at IS NULL) THEN RETURN 'day before'; END IF;

  INSERT INTO day_total (shard, day, code, unit, debits, credits, balance)
  SELECT p_shard, p_day, code, unit, coalesce(m.debits, 0), coalesce(m.credits, 0), coalesce(b.balance, 0) + coalesce(m.debits, 0) - coalesce(m.credits, 0)
  FROM (
      SELECT code, unit, sum(debits) AS debits, sum(credits) AS credits
      FROM (
        SELECT debit_code AS code, unit, amount AS debits, 0 AS credits FROM day_flow WHERE shard = p_shard AND day = p_day
        UNION ALL SELECT credit_code, unit, 0, amount FROM day_flow WHERE shard = p_shard AND day = p_day
      ) f GROUP BY code, unit
    ) m
    FULL JOIN (
      SELECT code, unit, balance FROM day_total
      WHERE shard = p_shard AND day = (SELECT max(day) FROM day_total WHERE shard = p_shard AND day < p_day)
    ) b USING (code, unit);

  INSERT INTO outlet_position (shard, day, merchant_id, code, debits, credits)
  SELECT p_shard, p_day, merchant_id, code, sum(debits), sum(credits)
  FROM (
    SELECT merchant_id, debit_code AS code, amount AS debits, 0 AS credits FROM day_flow
    WHERE shard = p_shard AND day = p_day AND debit_code BETWEEN 2200 AND 2299 AND credit_code <> 1000
    UNION ALL
    SELECT merchant_id, credit_code, 0, amount FROM day_flow WHERE shard = p_shard AND day = p_day AND credit_code BETWEEN 2200 AND 2299
  ) f
  GROUP BY merchant_id, code;

  INSERT INTO claim (shard, day, payer_code, service, governorate, units, amount)
  SELECT p_shard, p_day, m.payer_code, m.service, m.governorate, coalesce(u.units, 0), m.amount
  FROM (
      SELECT payer_code, service, governorate, sum(amount) AS amount
      FROM (
        SELECT debit_code AS payer_code, service, governorate, amount FROM day_flow
        WHERE shard = p_shard AND day = p_day AND debit_code BETWEEN 1200 AND 1299 AND credit_code <> 1000
        UNION ALL
        SELECT credit_code, service, governorate, -amount FROM day_flow
        WHERE shard = p_shard AND day = p_day AND credit_code BETWEEN 1200 AND 1299 AND debit_code <> 1000
      ) f
      GROUP BY payer_code, service, governorate
    ) m
    LEFT JOIN (
      SELECT k.kind AS service, f.governorate, sum(CASE WHEN f.debit_code = k.account THEN f.amount ELSE -f.amount END) AS units
      FROM day_flow f JOIN purse_kind k ON k.unit = f.unit AND (f.debit_code = k.account AND f.credit_code = 9001 OR f.debit_code = 9001 AND f.credit_code = k.account)
      WHERE f.shard = p_shard AND f.day = p_day AND f.unit <> 1
      GROUP BY k.kind, f.governorate
    ) u ON u.service = m.service AND u.governorate = m.governorate;

  UPDATE business_day SET closed_at = p_at, closed_by = p_by WHERE shard = p_shard AND day = p_day;
  RETURN 'closed';
END
$$;
