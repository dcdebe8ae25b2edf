-- Up Migration

-- What terminals have done, added up: so that a terminal that closes its shift (0500) can be told how the switch sees it, without an index on
-- terminals in the ledger. Totals only grow; a shift is what was added since the cut before it.
--
-- `totals` are the numbers and amounts of ISO 8583-1:1987 DE 74 to 89, in that order: numbers of credits, credit reversals, debits, debit reversals, transfers,
-- transfer reversals, inquiries, authorizations; four kinds of fees, which there are none of; amounts (piasters) of credits, credit reversals, debits,
-- debit reversals. `acquirer` is the first part of a ledger key: DE 32, else the link's name.
CREATE TABLE terminal_total (
  shard smallint NOT NULL,
  acquirer text NOT NULL,
  terminal_id text NOT NULL,
  totals bigint[] NOT NULL CHECK (cardinality(totals) = 16),
  PRIMARY KEY (shard, acquirer, terminal_id)
) WITH (fillfactor = 50);

-- The event number up to which the ledger has been added up.
CREATE TABLE total_progress (
  shard smallint PRIMARY KEY,
  until bigint NOT NULL
);

-- One row a shift that was closed: of a terminal, or with an empty `terminal_id` of all of an acquirer. `until` are the totals at the cut, `ours` and `theirs` those of the
-- shift; `net` is DE 97 as it came, null where it did not. It is the stored answer of its message, and what people look into where it is 95.
CREATE TABLE reconciliation (
  shard smallint NOT NULL,
  acquirer text NOT NULL,
  terminal_id text NOT NULL,
  shift bigint NOT NULL,
  at timestamptz NOT NULL,
  key_date date NOT NULL,
  key text NOT NULL,
  body bigint NOT NULL,
  until bigint[] NOT NULL,
  ours bigint[] NOT NULL,
  theirs bigint[] NOT NULL,
  net bigint,
  response_code text NOT NULL CHECK (response_code IN ('00', '95')),
  PRIMARY KEY (shard, acquirer, terminal_id, shift)
);
CREATE UNIQUE INDEX reconciliation_key ON reconciliation (shard, key_date, key);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliation
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Adds two lists, entry by entry; a null list is one of zeros.
CREATE FUNCTION add_totals(a bigint[], b bigint[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
  SELECT array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY ord) FROM unnest(coalesce(a, array_fill(0::bigint, ARRAY[16])), coalesce(b, array_fill(0::bigint, ARRAY[16]))) WITH ORDINALITY AS s(x, y, ord)
$$;

-- Adds up the ledger from where the last call stopped to event number `p_until`, at most `p_count` numbers of it. Kinds are those of src/transaction/transaction.ts; what counts
-- is what was approved. A reversal counts as one of credits or debits, as its original was; one that found nothing to give back as none.
-- Locks: the shard's row of total_progress; then terminal_total in the order of its key.
-- Result: the number up to which it is added up now.
CREATE FUNCTION add_up_terminals(p_shard smallint, p_until bigint, p_count integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_from bigint;
  v_until bigint;
BEGIN
  INSERT INTO total_progress (shard, until) VALUES (p_shard, 0) ON CONFLICT (shard) DO NOTHING;
  SELECT until INTO v_from FROM total_progress WHERE shard = p_shard FOR UPDATE;
  v_until := LEAST(p_until, v_from + p_count);
  IF v_until <= v_from THEN RETURN v_from; END IF;
  INSERT INTO terminal_total AS t (shard, acquirer, terminal_id, totals)
  SELECT p_shard, split_part(a.key, '|', 1), a.terminal_id, ARRAY[
    count(*) FILTER (WHERE g.is_credit), count(*) FILTER (WHERE g.reverses_credit), count(*) FILTER (WHERE g.is_debit), count(*) FILTER (WHERE g.reverses_debit),
    0, 0, count(*) FILTER (WHERE a.kind IN (9, 14)), count(*) FILTER (WHERE a.kind = 2),
    0, 0, 0, 0,
    coalesce(sum(a.approved) FILTER (WHERE g.is_credit), 0)::bigint, coalesce(sum(a.approved) FILTER (WHERE g.reverses_credit), 0)::bigint,
    coalesce(sum(a.approved) FILTER (WHERE g.is_debit), 0)::bigint, coalesce(sum(a.approved) FILTER (WHERE g.reverses_debit), 0)::bigint]
  FROM "authorization" a
    LEFT JOIN "authorization" o ON a.kind = 10 AND o.shard = a.shard AND o.key_date = a.original_date AND o.key = a.original_key
    CROSS JOIN LATERAL (SELECT
      a.kind IN (5, 6, 8, 12, 17) AS is_credit, a.kind IN (1, 3, 4, 7, 13, 15) AS is_debit,
      a.kind = 10 AND a.approved > 0 AND o.kind IN (5, 6, 8, 12, 17) AS reverses_credit,
      a.kind = 10 AND a.approved > 0 AND o.kind IN (1, 3, 4, 7, 13, 15) AS reverses_debit) g
  WHERE a.shard = p_shard AND a.event_number > v_from AND a.event_number <= v_until
    AND a.response_code IN ('00', '10') AND a.terminal_id IS NOT NULL
  GROUP BY 2, 3 ORDER BY 2, 3
  ON CONFLICT (shard, acquirer, terminal_id) DO UPDATE SET totals = add_totals(t.totals, EXCLUDED.totals);
  UPDATE total_progress SET until = v_until WHERE shard = p_shard;
  RETURN v_until;
END
$$;

-- Closes a shift: of a terminal, or with an empty `p_terminal` of all of an acquirer. Everything up to the message has been added up already.
-- A key that came before gets what was answered then, or `other_body`.
-- Locks: the scope's name (advisory), so that of two at once one follows the other.
-- Result: one row: ours, the response code, the shift, and whether the key came before with another body.
CREATE FUNCTION close_shift(
  p_shard smallint, p_now timestamptz, p_acquirer text, p_terminal text, p_key_date date, p_key text, p_body bigint, p_theirs bigint[], p_net bigint,
  OUT ours bigint[], OUT response_code text, OUT shift bigint, OUT other_body boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_before reconciliation;
  v_until bigint[];
BEGIN
  PERFORM pg_advisory_xact_lock(8584, hashtext(p_acquirer || '|' || p_terminal));
  SELECT r.* INTO v_before FROM reconciliation r WHERE r.shard = p_shard AND r.key_date = p_key_date AND r.key = p_key;
  IF FOUND THEN
    ours := v_before.ours;
    response_code := v_before.response_code;
    shift := v_before.shift;
    other_body := v_before.body <> p_body;
    RETURN;
  END IF;
  SELECT r.* INTO v_before FROM reconciliation r
    WHERE r.shard = p_shard AND r.acquirer = p_acquirer AND r.terminal_id = p_terminal ORDER BY r.shift DESC LIMIT 1;
  SELECT array_agg(s.total ORDER BY s.ord) INTO v_until FROM (
    SELECT e.ord, sum(e.total)::bigint AS total
    FROM terminal_total t, unnest(t.totals) WITH ORDINALITY AS e(total, ord)
    WHERE t.shard = p_shard AND t.acquirer = p_acquirer AND (p_terminal = '' OR t.terminal_id = p_terminal) GROUP BY e.ord
  ) s;
  v_until := add_totals(v_until, NULL);
  ours := add_totals(v_until, ARRAY(SELECT -x FROM unnest(v_before.until) WITH ORDINALITY AS u(x, ord) ORDER BY ord));
  IF v_before.until IS NULL THEN ours := v_until; END IF;
  shift := coalesce(v_before.shift, 0) + 1;
  other_body := false;
  response_code := CASE
    WHEN ours <> p_theirs OR p_net <> ours[15] + ours[14] - ours[13] - ours[16] THEN '95'
    ELSE '00'
  END;
  INSERT INTO reconciliation (shard, acquirer, terminal_id, shift, at, key_date, key, body, until, ours, theirs, net, response_code)
  VALUES (p_shard, p_acquirer, p_terminal, shift, p_now, p_key_date, p_key, p_body, v_until, ours, p_theirs, p_net, response_code);
END
$$;
