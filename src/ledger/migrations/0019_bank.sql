-- Up Migration

-- What the bank says, matched with what was expected; what treasury and fund have paid of their claims; cash of machines that was counted; and what
-- becomes of suspense (spec/bank.md). All amounts are piasters.

-- One row a statement that was taken, whole. `number` ascends by account without a gap, as they were taken: the opening balance of one is the closing balance of the latest
-- before it, but where a `note` says why it was taken all the same. `fingerprint` knows the same statement again.
CREATE TABLE bank_statement (
  shard smallint NOT NULL,
  account text NOT NULL,
  statement_id text NOT NULL,
  number integer NOT NULL,
  from_day date NOT NULL,
  until_day date NOT NULL,
  opening bigint NOT NULL,
  closing bigint NOT NULL,
  entries integer NOT NULL,
  credits bigint NOT NULL,
  debits bigint NOT NULL,
  fingerprint text NOT NULL,
  imported_at timestamptz NOT NULL,
  imported_by text NOT NULL,
  note text,
  PRIMARY KEY (shard, account, statement_id),
  UNIQUE (shard, account, number),
  CHECK (opening + credits - debits = closing)
);

CREATE INDEX bank_statement_latest ON bank_statement (shard, account, until_day, number);

CREATE SEQUENCE bank_entry_number;

-- An entry, or one payment of an entry with several. `refs` is what the parties call it, `bank_reference` what the bank does.
CREATE TABLE bank_entry (
  shard smallint NOT NULL,
  id bigint NOT NULL,
  account text NOT NULL,
  statement_id text NOT NULL,
  ordinal integer NOT NULL,
  credit boolean NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  booked_on date NOT NULL,
  value_on date,
  refs text[] NOT NULL,
  bank_reference text,
  counterparty text,
  text text,
  return_reason text,
  PRIMARY KEY (shard, id),
  UNIQUE (shard, account, statement_id, ordinal),
  FOREIGN KEY (shard, account, statement_id) REFERENCES bank_statement
);

CREATE INDEX bank_entry_reference ON bank_entry (shard, account, bank_reference) WHERE bank_reference IS NOT NULL;

-- The work list: entries of which nobody knows yet what they are. Whoever takes an entry's row away matches it: nobody else can.
CREATE TABLE bank_open (
  shard smallint NOT NULL,
  entry_id bigint NOT NULL,
  reason text NOT NULL,
  since timestamptz NOT NULL,
  PRIMARY KEY (shard, entry_id),
  FOREIGN KEY (shard, entry_id) REFERENCES bank_entry
);

-- What an entry was found to be, once and for good. `what` names it, by kind: a payout, the deposits of a day, a loading of a machine, each matched once; claims; an item of
-- suspense. `matched_by` is `reference` or `amount` where the switch found it, else who proposed and who agreed.
CREATE TABLE bank_match (
  shard smallint NOT NULL,
  entry_id bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('payout', 'payout-return', 'claims', 'deposits', 'atm-load', 'suspense')),
  what text NOT NULL,
  matched_at timestamptz NOT NULL,
  matched_by text NOT NULL,
  PRIMARY KEY (shard, entry_id),
  FOREIGN KEY (shard, entry_id) REFERENCES bank_entry
);
CREATE UNIQUE INDEX bank_match_once ON bank_match (shard, kind, what) WHERE kind NOT IN ('claims', 'suspense');

-- What a payer has paid: `key` is that of the posting 1000 / 12xx. Its payments say of which claims; they come to its amount.
CREATE TABLE claim_receipt (
  shard smallint NOT NULL,
  key text NOT NULL,
  payer_code smallint NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  received_on date NOT NULL,
  PRIMARY KEY (shard, key),
  FOREIGN KEY (shard, key) REFERENCES book_entry
);

-- Below zero where a claim is: what was given back is taken off what is owed.
CREATE TABLE claim_payment (
  shard smallint NOT NULL,
  key text NOT NULL,
  day date NOT NULL,
  payer_code smallint NOT NULL,
  service smallint NOT NULL,
  governorate smallint NOT NULL,
  amount bigint NOT NULL CHECK (amount <> 0),
  PRIMARY KEY (shard, key, day, payer_code, service, governorate),
  FOREIGN KEY (shard, key) REFERENCES claim_receipt,
  FOREIGN KEY (shard, day, payer_code, service, governorate) REFERENCES claim
);
CREATE INDEX claim_payment_claim ON claim_payment (shard, day, payer_code, service, governorate);

-- The cash in a machine was counted: `position` is what the ledger said at that moment. `key` is that of the posting of the difference, where there is one.
CREATE TABLE atm_count (
  shard smallint NOT NULL,
  key text NOT NULL,
  terminal_id bigint NOT NULL REFERENCES terminal,
  at timestamptz NOT NULL,
  position bigint NOT NULL,
  counted bigint NOT NULL CHECK (counted >= 0),
  difference bigint GENERATED ALWAYS AS (counted - position) STORED,
  made_by text NOT NULL,
  note text,
  PRIMARY KEY (shard, key)
);
CREATE INDEX atm_count_terminal ON atm_count (shard, terminal_id, at);

-- Suspense (2900), item by item. `lent` are its debits: somebody owes it to us; `come_back` its credits: we owe it to somebody, or it is back. What follows an original
-- (refund, reversal, a dispute's loan, a way out that was decided) belongs to the original's item. `item_key` is the key of the decision that all of them go back to, or of
-- a book entry. `merchant_id` and `account` are the outlet and the other account of the first posting.
CREATE TABLE suspense_item (
  shard smallint NOT NULL,
  id bigint NOT NULL,
  item_key text NOT NULL,
  kind text NOT NULL,
  opened_at timestamptz NOT NULL,
  merchant_id bigint NOT NULL DEFAULT 0,
  account smallint NOT NULL,
  lent bigint NOT NULL DEFAULT 0,
  come_back bigint NOT NULL DEFAULT 0,
  open bigint GENERATED ALWAYS AS (lent - come_back) STORED,
  owner text NOT NULL DEFAULT 'settlement',
  version bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (shard, id),
  UNIQUE (shard, item_key)
) WITH (fillfactor = 70);
CREATE INDEX suspense_item_open ON suspense_item (shard, opened_at, id) WHERE lent <> come_back;
CREATE SEQUENCE suspense_item_number;

-- What moved an item: a decision or a book entry, by its event number; or, without one, two opposite items that were matched with each other.
CREATE TABLE suspense_posting (
  shard smallint NOT NULL,
  posting_key text NOT NULL,
  item_id bigint NOT NULL,
  event_number bigint,
  at timestamptz NOT NULL,
  way text NOT NULL,
  lent bigint NOT NULL CHECK (lent >= 0),
  come_back bigint NOT NULL CHECK (come_back >= 0),
  made_by text,
  note text,
  PRIMARY KEY (shard, posting_key),
  FOREIGN KEY (shard, item_id) REFERENCES suspense_item
);
CREATE INDEX suspense_posting_item ON suspense_posting (shard, item_id);

-- The event number up to which the ledger's postings on suspense have become items.
CREATE TABLE suspense_progress (
  shard smallint PRIMARY KEY,
  until bigint NOT NULL
);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['bank_statement', 'bank_entry', 'bank_match', 'claim_receipt', 'claim_payment', 'atm_count', 'suspense_posting'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
  END LOOP;
END
$$;

-- Puts one posting on suspense into its item: that of `p_item`, else the one of `p_item_key`, which is made where there is none. One that has its place already keeps it.
-- Locks: the item's row.
-- Result: the item.
CREATE FUNCTION record_suspense(
  p_shard smallint, p_posting_key text, p_event bigint, p_at timestamptz, p_item bigint, p_item_key text, p_kind text, p_merchant bigint,
  p_account smallint, p_lent bigint, p_come_back bigint, p_made_by text, p_note text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_item bigint;
BEGIN
  SELECT item_id INTO v_item FROM suspense_posting WHERE shard = p_shard AND posting_key = p_posting_key;
  IF FOUND THEN RETURN v_item; END IF;
  v_item := coalesce(p_item, (SELECT id FROM suspense_item WHERE shard = p_shard AND item_key = p_item_key));
  IF v_item IS NULL THEN
    INSERT INTO suspense_item (shard, id, item_key, kind, opened_at, merchant_id, account)
    VALUES (p_shard, nextval('suspense_item_number'), p_item_key, p_kind, p_at, coalesce(p_merchant, 0), p_account)
    RETURNING id INTO v_item;
  END IF;
  UPDATE suspense_item SET lent = lent + p_lent, come_back = come_back + p_come_back, version = version + 1 WHERE shard = p_shard AND id = v_item;
  INSERT INTO suspense_posting (shard, posting_key, item_id, event_number, at, way, lent, come_back, made_by, note)
  VALUES (p_shard, p_posting_key, v_item, p_event, p_at, p_kind, p_lent, p_come_back, p_made_by, p_note);
  RETURN v_item;
END
$$;

-- The same for a book entry that was posted in this SQL transaction, or has become final. Result: the item; null where it does not touch suspense.
CREATE FUNCTION record_book_suspense(p_shard smallint, p_key text, p_item bigint) RETURNS bigint LANGUAGE sql AS $$
  SELECT record_suspense(p_shard, 'book ' || b.key, b.event_number, b.at, p_item, 'book ' || b.key, b.kind, s.merchant_id, s.account, s.lent, s.come_back,
    b.made_by, b.note)
  FROM book_entry b
    JOIN LATERAL (
      SELECT coalesce(sum(t.amount) FILTER (WHERE t.debit_code = 2900), 0)::bigint AS lent,
        coalesce(sum(t.amount) FILTER (WHERE t.credit_code = 2900), 0)::bigint AS come_back,
        max(CASE WHEN t.debit_code BETWEEN 2200 AND 2299 THEN t.debit_owner WHEN t.credit_code BETWEEN 2200 AND 2299 THEN t.credit_owner END) AS merchant_id,
        min(CASE WHEN t.debit_code = 2900 THEN t.credit_code ELSE t.debit_code END) AS account
      FROM book_transfer t WHERE t.shard = b.shard AND t.key = b.key AND 2900 IN (t.debit_code, t.credit_code)
    ) s ON s.account IS NOT NULL
  WHERE b.shard = p_shard AND b.key = p_key
$$;

-- The decision that a decision goes back to: of a reversed refund the purchase, of the refund of a completion the authorization; itself where it follows none.
CREATE FUNCTION first_original(p_shard smallint, p_date date, p_key text) RETURNS text LANGUAGE sql STABLE AS $$
  WITH RECURSIVE chain (key_date, key, original_date, original_key, depth) AS (
    SELECT key_date, key, original_date, original_key, 1 FROM "authorization" WHERE shard = p_shard AND key_date = p_date AND key = p_key
    UNION ALL
    SELECT o.key_date, o.key, o.original_date, o.original_key, c.depth + 1
    FROM chain c JOIN "authorization" o ON o.shard = p_shard AND o.key_date = c.original_date AND o.key = c.original_key
    WHERE c.depth < 10
  )
  SELECT key_date || ' ' || key FROM chain ORDER BY depth DESC LIMIT 1
$$;

-- Makes items of what the ledger has on suspense, from where the last call stopped to event number `p_until`, which is final, at most `p_count` numbers. What follows
-- an original belongs to the same item as whatever else goes back to it.
-- Locks: the shard's row of suspense_progress; then items, in the order of events.
-- Result: the number up to which it has come.
CREATE FUNCTION add_up_suspense(p_shard smallint, p_until bigint, p_count integer) RETURNS bigint LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  v_from bigint;
  v_until bigint;
  v_posting record;
BEGIN
  INSERT INTO suspense_progress (shard, until) VALUES (p_shard, 0) ON CONFLICT (shard) DO NOTHING;
  SELECT until INTO v_from FROM suspense_progress WHERE shard = p_shard FOR UPDATE;
  v_until := LEAST(p_until, v_from + p_count);
  IF v_until <= v_from THEN RETURN v_from; END IF;
  FOR v_posting IN
    SELECT t.event_number, coalesce(first_original(p_shard, a.key_date, a.key), t.event_number::text) AS first,
      coalesce(a.decided_at, transaction_timestamp()) AS decided_at, coalesce(a.kind, 0::smallint) AS kind, t.merchant_id, t.account, t.lent, t.come_back,
      NULL::text AS book
    FROM (
      SELECT event_number, coalesce(sum(amount) FILTER (WHERE debit_code = 2900), 0)::bigint AS lent,
        coalesce(sum(amount) FILTER (WHERE credit_code = 2900), 0)::bigint AS come_back,
        max(CASE WHEN debit_code BETWEEN 2200 AND 2299 THEN debit_owner WHEN credit_code BETWEEN 2200 AND 2299 THEN credit_owner END) AS merchant_id,
        min(CASE WHEN debit_code = 2900 THEN credit_code ELSE debit_code END) AS account
      FROM transfer
      WHERE shard = p_shard AND event_number > v_from AND event_number <= v_until AND 2900 IN (debit_code, credit_code)
      GROUP BY event_number
    ) t
      LEFT JOIN "authorization" a ON a.shard = p_shard AND a.event_number = t.event_number
    UNION ALL
    SELECT DISTINCT event_number, NULL, NULL::timestamptz, NULL::smallint, NULL::bigint, NULL::smallint, NULL::bigint, NULL::bigint, key
    FROM book_transfer
    WHERE shard = p_shard AND event_number > v_from AND event_number <= v_until AND 2900 IN (debit_code, credit_code)
    ORDER BY 1
  LOOP
    IF v_posting.book IS NOT NULL THEN
      PERFORM record_book_suspense(p_shard, v_posting.book, NULL);
    ELSE
      PERFORM record_suspense(p_shard, 'decision ' || v_posting.event_number, v_posting.event_number, v_posting.decided_at, NULL,
        'decision ' || v_posting.first, 'decision-' || v_posting.kind, v_posting.merchant_id, v_posting.account, v_posting.lent, v_posting.come_back, NULL, NULL);
    END IF;
  END LOOP;
  UPDATE suspense_progress SET until = v_until WHERE shard = p_shard;
  RETURN v_until;
END
$$;

-- Loadings of machines, by what the bank's statement calls them.
CREATE INDEX book_entry_atm_load ON book_entry (shard, reference) WHERE kind = 'atm-load';
