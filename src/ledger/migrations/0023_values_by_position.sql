-- Up Migration

-- commit_batch as it is since this migration: in the statements that every batch runs an item's values are read from their arrays by its position (v_at_item),
-- where all arrays were unnested side by side before, which costs a heap of its own for each of them. Arrays of a function are kept taken apart, so that a position is found at once.
-- What it does is what it was.
--
-- commit_batch: the one way into the ledger. Takes a batch of decisions as parallel arrays, judges each under its purse's lock and
-- appends those whose guards hold. The caller sends at most one item a purse and one a key in a batch, in the order of (date, key).
--
-- Parameters: p_shard, p_now, then an array a column (a null array is a column of nulls): see CommitItem in src/ledger/commitItem.ts.
--   A movement may also set or clear marks of the purse (bits, for days), count items of a goods list (a comma separated count an item, with
--   ceilings), move a second purse, and update a card: p_card_update is 1 retire it (p_tries 1: the item's own card has matched a fingerprint), 2 count a wrong fingerprint, 3 a right one. Where the
--   count reaches p_tries the card is suspended and the item is answered p_tries_response instead. Each update raises the gates of the
--   purses in p_raise (comma separated).
--   What was verified of the holder is stored with the decision, whichever it is: p_atc is the transaction counter of a right cryptogram, used
--   once; p_pin is 1 a wrong PIN is counted, which at p_pin_max blocks the card's PIN, 2 a right one (counted anew), 3 a right one (nothing to
--   change). p_pin_checked is what the PIN was verified against: where
--   the card has another by now, the item is looked at again. p_pin_reference is the reference value of a new PIN; p_script_sent: the chip's pending command goes out with this answer, once.
--   p_stood_in is when it was told in stand-in, while the ledger could not be reached.
--   The t_ arrays are the transfers, t_item being the 1-based position of the item they belong to, negative for those of its second purse.
-- Result: one row; each column lists a value an item, in the order of the items, separated by commas. `outcome` is
--   0 won: the row is appended and the purse moved;   1 duplicate: the key was there, read what was answered;
--   2 no such purse;   3 gate moved;   4 the original was touched meanwhile;   5 balance;   6 balance ceiling;
--   7 the day's amount;   8 the day's count;   9 a mark is set already;   10 an item's ceiling;   11 the second purse;
--   12 the transaction counter was used before, or is too far behind.
--   1 to 12: nothing was written for this item.
--   The purse columns are its state after this batch and hold for outcome 0 only; `tries` is the count of wrong fingerprints or PINs,
--   `second_version` the version of an item's second purse.
-- Locks: purses ORDER BY shard, id FOR NO KEY UPDATE, then cards by token, before any key is inserted; keys in key order. So no two batches
--   wait for each other in a circle. Each step is a statement of its own: it must see what others committed while the step before waited.
CREATE OR REPLACE FUNCTION commit_batch(
  p_shard smallint,
  p_now timestamptz,
  p_key text[], p_key_date date[], p_mti smallint[], p_kind smallint[], p_body bigint[],
  p_card text[], p_terminal text[], p_merchant bigint[], p_rrn text[],
  p_requested bigint[], p_approved bigint[], p_response text[], p_reason text[], p_approval text[],
  p_purse bigint[], p_gate bigint[], p_posts boolean[], p_delta bigint[], p_held_delta bigint[], p_balance_max bigint[],
  p_day date[], p_limit smallint[], p_count_amount bigint[], p_count integer[], p_amount_max bigint[], p_count_max integer[],
  p_original_key text[], p_original_date date[], p_linked integer[], p_suspense bigint[],
  p_hold_expires timestamptz[], p_hold_used bigint[],
  p_quantity bigint[], p_cycle date[], p_set_marks integer[], p_clear_marks integer[], p_items text[], p_items_max text[],
  p_second bigint[], p_second_gate bigint[], p_second_delta bigint[],
  p_card_update smallint[], p_update_card text[], p_raise text[], p_tries smallint[], p_tries_response text[], p_tries_reason text[],
  p_atc integer[], p_pin smallint[], p_pin_max smallint[], p_pin_reference text[], p_pin_checked text[], p_script_sent boolean[],
  p_stood_in timestamptz[],
  t_item integer[], t_debit_code smallint[], t_debit_owner bigint[], t_credit_code smallint[], t_credit_owner bigint[],
  t_unit smallint[], t_amount bigint[],
  OUT outcome text, OUT balance text, OUT held text, OUT version text, OUT day text,
  OUT spent_amount text, OUT spent_count text, OUT withdrawn_amount text, OUT withdrawn_count text, OUT marks text, OUT tries text, OUT second_version text
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
  v_outcome smallint[];
  v_balance bigint[];
  v_held bigint[];
  v_version bigint[];
  v_day date[];
  v_spent_amount bigint[];
  v_spent_count integer[];
  v_withdrawn_amount bigint[];
  v_withdrawn_count integer[];
  v_marks integer[];
  v_cycle date[];
  v_second_balance bigint[];
  v_second_version bigint[];
  v_tries smallint[];
  v_locked bigint[];
  v_cards text[];
  v_at integer;
  v_tried smallint;
  v_moved_balance bigint;
  v_moved_version bigint;
  v_fits boolean;
  v_counts text;
  v_items text[];
  v_state text;
  v_response text[] := p_response;
  v_reason text[] := p_reason;
  v_quantity bigint[] := p_quantity;
  v_number bigint[];
  v_won text[];
  v_purse_place tid[];
  v_card_place tid[];
  v_pin_tries smallint[];
  v_atc_used integer[];
  v_script_gone integer[];
  v_pin_void integer[];
  v_count bigint;
  -- 1, 2, 3: the positions of the items.
  v_at_item integer[];
BEGIN
  v_at_item := ARRAY(SELECT generate_series(1, cardinality(p_key)));
  -- The SQL transaction has an id before it takes event numbers, also where it locks no row: see event_number (0008_card_life.sql).
  PERFORM pg_current_xact_id();
  v_locked := p_purse || p_second;
  IF p_raise IS NOT NULL THEN
    v_locked := v_locked || ARRAY(SELECT r::bigint FROM unnest(p_raise) AS raise(list), unnest(string_to_array(raise.list, ',')) AS r);
  END IF;

  -- Lock and judge: a locked row is read as it is after the wait, whatever the statement's snapshot. A day's counters start at zero on a later date; what is given back (negative) only ever lowers its own day.
  SELECT array_agg(j.verdict ORDER BY j.ord),
    array_agg(j.balance ORDER BY j.ord), array_agg(j.held ORDER BY j.ord), array_agg(j.version ORDER BY j.ord), array_agg(j.day ORDER BY j.ord),
    array_agg(GREATEST(j.spent_amount, 0) ORDER BY j.ord), array_agg(GREATEST(j.spent_count, 0) ORDER BY j.ord),
    array_agg(GREATEST(j.withdrawn_amount, 0) ORDER BY j.ord), array_agg(GREATEST(j.withdrawn_count, 0) ORDER BY j.ord),
    array_agg(j.marks ORDER BY j.ord), array_agg(j.cycle ORDER BY j.ord), array_agg(j.place ORDER BY j.ord)
  INTO v_outcome, v_balance, v_held, v_version, v_day, v_spent_amount, v_spent_count, v_withdrawn_amount, v_withdrawn_count, v_marks, v_cycle, v_purse_place
  FROM (
    WITH locked AS MATERIALIZED (
      SELECT ctid AS place, * FROM purse WHERE shard = p_shard AND id = ANY (v_locked) ORDER BY shard, id FOR NO KEY UPDATE
    )
    SELECT c.*,
      (CASE
        WHEN c.purse IS NULL THEN 0
        WHEN c.version IS NULL THEN 2
        WHEN c.gate <> c.expected_gate OR c.cycle <> c.expected_cycle THEN 3
        WHEN c.balance < 0 OR c.held < 0 THEN 5
        WHEN c.delta > 0 AND c.balance > c.balance_max THEN 6
        WHEN CASE c.limit_group WHEN 1 THEN c.spent_amount WHEN 2 THEN c.withdrawn_amount END > c.amount_max THEN 7
        WHEN CASE c.limit_group WHEN 1 THEN c.spent_count WHEN 2 THEN c.withdrawn_count END > c.count_max THEN 8
        WHEN c.marks_before & c.set_marks <> 0 THEN 9
        ELSE 0
      END)::smallint AS verdict
    FROM (
      SELECT a.ord, a.purse, a.expected_gate, a.delta, a.balance_max, a.limit_group, a.amount_max, a.count_max,
        a.expected_cycle, a.set_marks, p.cycle, p.marks AS marks_before, p.place,
        (p.marks | coalesce(a.set_marks, 0)) & ~coalesce(a.clear_marks, 0) AS marks,
        p.gate, p.balance + a.delta AS balance, p.held + a.held_delta AS held,
        CASE WHEN a.posts THEN p.version + 1 ELSE p.version END AS version,
        GREATEST(p.day, a.count_day) AS day,
        CASE WHEN a.count_day > p.day THEN 0 ELSE p.spent_amount END + CASE WHEN a.limit_group = 1
          THEN CASE WHEN a.count_amount >= 0 OR a.count_day = p.day THEN a.count_amount ELSE 0 END ELSE 0 END AS spent_amount,
        CASE WHEN a.count_day > p.day THEN 0 ELSE p.spent_count END + CASE WHEN a.limit_group = 1
          THEN CASE WHEN a.count_add >= 0 OR a.count_day = p.day THEN a.count_add ELSE 0 END ELSE 0 END AS spent_count,
        CASE WHEN a.count_day > p.day THEN 0 ELSE p.withdrawn_amount END + CASE WHEN a.limit_group = 2
          THEN CASE WHEN a.count_amount >= 0 OR a.count_day = p.day THEN a.count_amount ELSE 0 END ELSE 0 END AS withdrawn_amount,
        CASE WHEN a.count_day > p.day THEN 0 ELSE p.withdrawn_count END + CASE WHEN a.limit_group = 2
          THEN CASE WHEN a.count_add >= 0 OR a.count_day = p.day THEN a.count_add ELSE 0 END ELSE 0 END AS withdrawn_count
      FROM (
          SELECT i.purse, i.at AS ord, p_gate[i.at] AS expected_gate, p_posts[i.at] AS posts, p_delta[i.at] AS delta, p_held_delta[i.at] AS held_delta,
            p_balance_max[i.at] AS balance_max, p_day[i.at] AS count_day, p_limit[i.at] AS limit_group, p_count_amount[i.at] AS count_amount,
            p_count[i.at] AS count_add, p_amount_max[i.at] AS amount_max, p_count_max[i.at] AS count_max, p_cycle[i.at] AS expected_cycle,
            p_set_marks[i.at] AS set_marks, p_clear_marks[i.at] AS clear_marks
          FROM unnest(p_purse, v_at_item) AS i(purse, at) OFFSET 0
        ) a
        LEFT JOIN locked p ON p.id = a.purse
    ) c
  ) j;

  -- What follows an earlier approval: was that touched meanwhile, or a refund of it reversed (which gives it back less)? What follows a refund looks at
  -- what was refunded, and at the cases about that, as well. In a statement of its own, which sees what others committed while the purse was waited for.
  IF p_original_key IS NOT NULL THEN
    FOR v_at IN
      SELECT i.ord
      FROM unnest(p_purse, p_original_key, p_original_date, p_linked) WITH ORDINALITY AS i(purse, original_key, original_date, linked, ord)
      WHERE i.original_key IS NOT NULL AND i.linked <> (
        SELECT coalesce(sum(o.cases + (
          SELECT count(*) + coalesce(sum((
            SELECT count(*) FROM "authorization" v
            WHERE l.kind IN (8, 12, 17) AND v.kind = 10 AND v.shard = l.shard AND v.purse_id = l.purse_id AND v.original_key = l.key AND v.original_date = l.key_date
          )), 0) FROM "authorization" l
          WHERE l.shard = p_shard AND l.purse_id = i.purse AND l.original_key = o.key AND l.original_date = o.key_date
        )), 0)
        FROM (
          SELECT i.original_key AS key, i.original_date AS key_date, 0 AS cases
          UNION ALL
          SELECT r.original_key, r.original_date, (
            SELECT count(*) FROM dispute d
            WHERE d.shard = r.shard AND d.card_token = r.card_token AND d.original_date = r.original_date AND d.original_key = r.original_key AND d.decided_at IS NOT NULL
          ) FROM "authorization" r
          WHERE r.shard = p_shard AND r.key_date = i.original_date AND r.key = i.original_key AND r.kind IN (8, 12, 17)
        ) o
      )
    LOOP
      IF v_outcome[v_at] NOT IN (2, 3) THEN v_outcome[v_at] := 4; END IF;
    END LOOP;
  END IF;

  -- Goods of a list: each item has its ceiling in the cycle. What is given back (negative) has none.
  IF p_items IS NOT NULL THEN
    v_items := array_fill(NULL::text, ARRAY[cardinality(p_key)]);
    FOR v_at, v_counts, v_fits IN
      SELECT i.ord, c.counts, c.fits
      FROM unnest(p_purse, p_items, p_items_max) WITH ORDINALITY AS i(purse, items, items_max, ord)
        JOIN purse p ON p.shard = p_shard AND p.id = i.purse
        CROSS JOIN LATERAL (
          SELECT array_agg(GREATEST(coalesce(n.drawn, 0) + coalesce(n.added, 0), 0) ORDER BY n.ord)::text AS counts,
            bool_and(coalesce(n.added, 0) <= 0 OR coalesce(n.drawn, 0) + n.added <= n.ceiling) AS fits
          FROM unnest(string_to_array(i.items, ',')::integer[], string_to_array(i.items_max, ',')::integer[], p.items) WITH ORDINALITY
            AS n(added, ceiling, drawn, ord)
        ) c
      WHERE i.items IS NOT NULL
    LOOP
      v_items[v_at] := v_counts;
      IF v_outcome[v_at] = 0 AND NOT v_fits THEN v_outcome[v_at] := 10; END IF;
    END LOOP;
  END IF;

  -- A second purse of the same card.
  IF p_second IS NOT NULL THEN
    v_second_balance := array_fill(NULL::bigint, ARRAY[cardinality(p_key)]);
    v_second_version := v_second_balance;
    FOR v_at, v_moved_balance, v_moved_version, v_fits IN
      SELECT i.ord, p.balance + i.delta, CASE WHEN i.delta <> 0 THEN p.version + 1 END,
        p.id IS NOT NULL AND (p.gate = i.gate) IS NOT FALSE AND p.balance + i.delta >= 0
      FROM unnest(p_second, p_second_gate, p_second_delta) WITH ORDINALITY AS i(second, gate, delta, ord)
        LEFT JOIN purse p ON p.shard = p_shard AND p.id = i.second
      WHERE i.second IS NOT NULL
    LOOP
      v_second_balance[v_at] := v_moved_balance;
      v_second_version[v_at] := v_moved_version;
      IF v_outcome[v_at] = 0 AND NOT v_fits THEN v_outcome[v_at] := 11; END IF;
    END LOOP;
  END IF;

  -- Cards that change or are verified: locked in one order, before they are judged.
  IF p_atc IS NOT NULL OR p_pin IS NOT NULL THEN
    v_cards := ARRAY(SELECT i.card FROM unnest(p_card, p_atc, p_pin) AS i(card, atc, pin) WHERE i.atc IS NOT NULL OR i.pin IS NOT NULL);
  END IF;
  IF p_card_update IS NOT NULL THEN v_cards := v_cards || p_update_card; END IF;
  IF v_cards IS NOT NULL THEN
    WITH locked AS MATERIALIZED (
      SELECT ctid AS place, token, state, atc_max, atc_seen, issuer_script, pin_tries, pin_reference
      FROM card WHERE shard = p_shard AND token = ANY (v_cards) ORDER BY token FOR NO KEY UPDATE
    )
    SELECT
      -- It reads all of them: so every card is locked, whichever the join comes to ask for.
      (SELECT count(*) FROM locked),
      array_agg(c.place ORDER BY i.ord), array_agg(c.pin_tries ORDER BY i.ord),
      -- Each transaction counter is good once. A bounded set: the highest and which of the 63 up to it were used.
      array_agg(i.ord) FILTER (WHERE i.atc <= c.atc_max AND (c.atc_max - i.atc > 62 OR (c.atc_seen >> (c.atc_max - i.atc)) & 1 = 1)),
      -- A command for the chip goes out once: who took it for pending after another has taken it along looks again.
      array_agg(i.ord) FILTER (WHERE c.place IS NOT NULL AND i.sent AND c.issuer_script IS NULL),
      -- What a PIN was found to be is told only while the card may still be asked for it: so no answer, whatever was verified at the same time,
      -- tells of more PINs than the limit.
      array_agg(i.ord) FILTER (
        WHERE c.place IS NOT NULL AND i.pin IS NOT NULL AND (c.state = 'PIN_BLOCKED' OR i.checked IS DISTINCT FROM c.pin_reference))
    INTO v_count, v_card_place, v_pin_tries, v_atc_used, v_script_gone, v_pin_void
    FROM (
        SELECT i.token, i.at AS ord, p_atc[i.at] AS atc, p_pin[i.at] AS pin, p_pin_checked[i.at] AS checked, p_script_sent[i.at] AS sent
        FROM unnest(p_card, v_at_item) AS i(token, at) OFFSET 0
      ) i
      LEFT JOIN locked c ON c.token = i.token;
    FOREACH v_at IN ARRAY coalesce(v_atc_used, '{}') LOOP
      IF v_outcome[v_at] = 0 THEN v_outcome[v_at] := 12; END IF;
    END LOOP;
    FOREACH v_at IN ARRAY coalesce(v_script_gone, '{}') || coalesce(v_pin_void, '{}') LOOP
      IF v_outcome[v_at] = 0 THEN v_outcome[v_at] := 3; END IF;
    END LOOP;
  END IF;
  IF p_pin IS NOT NULL THEN
    v_tries := array_fill(NULL::smallint, ARRAY[cardinality(p_key)]);
    FOR v_at IN SELECT i.ord FROM unnest(p_pin) WITH ORDINALITY AS i(pin, ord) WHERE i.pin = 1 LOOP
      v_quantity := coalesce(v_quantity, array_fill(NULL::bigint, ARRAY[cardinality(p_key)]));
      v_tries[v_at] := v_pin_tries[v_at] + 1;
      v_quantity[v_at] := v_tries[v_at];
    END LOOP;
  END IF;

  -- Wrong fingerprints are counted under the card's lock; what the count comes to decides between two answers.
  IF p_card_update IS NOT NULL THEN
    v_tries := coalesce(v_tries, array_fill(NULL::smallint, ARRAY[cardinality(p_key)]));
    v_quantity := coalesce(v_quantity, array_fill(NULL::bigint, ARRAY[cardinality(p_key)]));
    v_reason := coalesce(p_reason, array_fill(NULL::text, ARRAY[cardinality(p_key)]));
    FOR v_at, v_tried, v_state IN
      SELECT i.ord, c.fingerprint_mismatches + 1, c.state
      FROM unnest(p_card_update, p_update_card) WITH ORDINALITY AS i(change, token, ord)
        JOIN card c ON c.shard = p_shard AND c.token = i.token
      WHERE i.change = 2
    LOOP
      -- It has been stopped meanwhile: look again.
      IF v_outcome[v_at] = 0 AND v_state NOT IN ('ACTIVE', 'PIN_BLOCKED') THEN v_outcome[v_at] := 3; END IF;
      v_tries[v_at] := v_tried;
      v_quantity[v_at] := v_tried;
      IF v_tried >= p_tries[v_at] THEN
        v_response[v_at] := p_tries_response[v_at];
        v_reason[v_at] := p_tries_reason[v_at];
      END IF;
    END LOOP;
  END IF;

  -- Event numbers are taken under the locks, so that those of one purse ascend as its postings do. What nobody asked for (kind 0, a tombstone) has none.
  v_number := ARRAY(
    SELECT CASE WHEN i.outcome = 0 AND i.kind <> 0 THEN nextval('event_number') END
    FROM unnest(v_outcome, p_kind) WITH ORDINALITY AS i(outcome, kind, ord) ORDER BY i.ord
  );

  -- Insert the keys, in key order: the caller's, which unnest keeps.
  WITH inserted AS (
    INSERT INTO "authorization" (
      purse_id, purse_version, body, requested, approved, available_after, held_after, from_suspense, merchant_id,
      decided_at, key_date, original_date, shard, mti, kind, key, response_code, reason, approval_code,
      card_token, terminal_id, rrn, original_key, quantity, cycle, marks, items, second_purse_id, second_version, second_available_after, stood_in_at, event_number)
    SELECT p_purse[i.at], CASE WHEN p_posts[i.at] THEN v_version[i.at] END, p_body[i.at], p_requested[i.at], p_approved[i.at], v_balance[i.at], v_held[i.at],
      p_suspense[i.at], p_merchant[i.at], p_now, p_key_date[i.at], p_original_date[i.at], p_shard, p_mti[i.at], p_kind[i.at], p_key[i.at], v_response[i.at],
      v_reason[i.at], p_approval[i.at], p_card[i.at], p_terminal[i.at], p_rrn[i.at], p_original_key[i.at], v_quantity[i.at], v_cycle[i.at],
      coalesce(p_set_marks[i.at], p_clear_marks[i.at]), p_items[i.at], p_second[i.at], v_second_version[i.at], v_second_balance[i.at], p_stood_in[i.at],
      v_number[i.at]
    FROM unnest(v_outcome, v_at_item) AS i(outcome, at)
    WHERE i.outcome = 0
    ON CONFLICT (shard, key_date, key) DO NOTHING
    RETURNING key
  ) SELECT array_agg(key) INTO v_won FROM inserted;

  -- Who lost its key? Rare, so the common case pays only for the count.
  IF coalesce(cardinality(v_won), 0) <> (SELECT count(*) FROM unnest(v_outcome) AS o(verdict) WHERE o.verdict = 0) THEN
    FOR v_at IN
      SELECT i.ord FROM unnest(v_outcome, p_key) WITH ORDINALITY AS i(verdict, key, ord)
      WHERE i.verdict = 0 AND i.key NOT IN (SELECT won FROM unnest(v_won) AS won)
    LOOP
      v_outcome[v_at] := 1;
    END LOOP;
  END IF;

  -- Move the purses of the winners.
  UPDATE purse p SET
    balance = v_balance[i.at], held = v_held[i.at], version = v_version[i.at], day = v_day[i.at],
    spent_amount = v_spent_amount[i.at], spent_count = v_spent_count[i.at],
    withdrawn_amount = v_withdrawn_amount[i.at], withdrawn_count = v_withdrawn_count[i.at], marks = v_marks[i.at],
    items = coalesce(v_items[i.at]::integer[], p.items)
  FROM unnest(v_outcome, v_at_item) AS i(outcome, at)
  WHERE i.outcome = 0 AND p_posts[i.at] AND p.ctid = v_purse_place[i.at] AND p.shard = p_shard AND p.id = p_purse[i.at];
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count <> (SELECT count(*) FROM unnest(v_outcome, p_posts) AS i(outcome, posts) WHERE i.outcome = 0 AND i.posts) THEN
    RAISE EXCEPTION 'a purse that was locked is not where it was';
  END IF;
  IF p_second IS NOT NULL THEN
    UPDATE purse p SET balance = i.balance, version = i.version
    FROM unnest(v_outcome, p_second, v_second_balance, v_second_version) AS i(outcome, second, balance, version)
    WHERE i.outcome = 0 AND i.version IS NOT NULL AND p.shard = p_shard AND p.id = i.second;
  END IF;
  -- A card that a message stops is an event of its own, which is rare: told before the card is changed, for what it was.
  IF 1 = ANY (p_pin) THEN
    INSERT INTO programme_event (number, at, kind, shard, card_token, person_id, household_id, data)
    SELECT nextval('event_number'), p_now, 'card.pin_tries_exceeded', p_shard, c.token, c.person_id, c.household_id,
      jsonb_build_object('from', c.state, 'to', 'PIN_BLOCKED')
    FROM unnest(v_outcome, p_card, p_pin, p_pin_max) AS i(outcome, token, pin, pin_max) JOIN card c ON c.shard = p_shard AND c.token = i.token
    WHERE i.outcome = 0 AND i.pin = 1 AND c.pin_tries + 1 >= i.pin_max AND c.state = 'ACTIVE';
  END IF;
  IF 1 = ANY (p_card_update) OR 2 = ANY (p_card_update) THEN
    INSERT INTO programme_event (number, at, kind, shard, card_token, person_id, household_id, data)
    SELECT nextval('event_number'), p_now, e.kind, p_shard, e.token, e.person_id, e.household_id, jsonb_build_object('from', e.state, 'to', e.becomes)
    FROM (
      SELECT DISTINCT c.token, c.person_id, c.household_id, c.state,
        CASE i.change WHEN 1 THEN 'card.retired' ELSE 'card.fingerprints_exceeded' END AS kind,
        CASE i.change WHEN 1 THEN 'RETIRED' ELSE 'SUSPENDED_BIOMETRIC' END AS becomes
      FROM unnest(v_outcome, p_card_update, p_update_card, p_tries, v_tries) AS i(outcome, change, token, tries, tried)
        JOIN card c ON c.shard = p_shard AND c.token = i.token
      WHERE i.outcome = 0
        AND (i.change = 2 AND i.tried >= i.tries OR i.change = 1 AND c.state IN ('ACTIVE', 'PIN_BLOCKED', 'PIN_LOST', 'SUSPENDED_BIOMETRIC'))
    ) e;
  END IF;
  IF p_atc IS NOT NULL OR p_pin IS NOT NULL THEN
    UPDATE card c SET
      atc_max = GREATEST(c.atc_max, i.atc),
      atc_seen = CASE
        WHEN i.atc IS NULL THEN c.atc_seen
        WHEN i.atc <= c.atc_max THEN c.atc_seen | (1::bigint << (c.atc_max - i.atc))
        WHEN i.atc - c.atc_max > 62 THEN 1
        ELSE (c.atc_seen << (i.atc - c.atc_max)) | 1
      END,
      pin_tries = CASE i.pin WHEN 1 THEN c.pin_tries + 1 WHEN 2 THEN 0 ELSE c.pin_tries END,
      state = CASE WHEN i.pin = 1 AND c.pin_tries + 1 >= i.pin_max AND c.state = 'ACTIVE' THEN 'PIN_BLOCKED' ELSE c.state END,
      pin_reference = coalesce(i.pin_reference, c.pin_reference),
      -- The chip learns of it with its next right cryptogram.
      issuer_script = CASE
        WHEN i.script_sent THEN NULL
        WHEN i.pin = 1 AND c.pin_tries + 1 >= i.pin_max AND c.state = 'ACTIVE' THEN 'PIN_BLOCK'
        ELSE c.issuer_script
      END,
      version = CASE WHEN i.pin < 3 OR i.script_sent THEN c.version + 1 ELSE c.version END
    FROM (
        SELECT i.at, v_card_place[i.at] AS place, p_atc[i.at] AS atc, p_pin[i.at] AS pin, p_pin_max[i.at] AS pin_max,
          p_pin_reference[i.at] AS pin_reference, p_script_sent[i.at] AS script_sent
        FROM unnest(v_outcome, v_at_item) AS i(outcome, at)
        WHERE i.outcome = 0 AND (p_atc[i.at] IS NOT NULL OR p_pin[i.at] < 3)
        OFFSET 0
      ) i
    WHERE c.ctid = i.place AND c.shard = p_shard AND c.token = p_card[i.at];
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> (SELECT count(*) FROM unnest(v_outcome, v_card_place, p_atc, p_pin) AS i(outcome, place, atc, pin) WHERE i.outcome = 0 AND i.place IS NOT NULL AND (i.atc IS NOT NULL OR i.pin < 3)) THEN
      RAISE EXCEPTION 'a card that was locked is not where it was';
    END IF;
    -- A wrong PIN, and a new one, are seen by whoever decided before.
    IF p_pin IS NOT NULL AND p_raise IS NOT NULL THEN
      UPDATE purse p SET gate = p.gate + 1
      FROM (
        SELECT DISTINCT r::bigint AS id
        FROM unnest(v_outcome, p_pin, p_pin_reference, p_raise) AS i(outcome, pin, reference, raise), unnest(string_to_array(i.raise, ',')) AS r
        WHERE i.outcome = 0 AND (i.pin = 1 OR i.reference IS NOT NULL)
      ) i
      WHERE p.shard = p_shard AND p.id = i.id;
    END IF;
  END IF;
  IF p_card_update IS NOT NULL THEN
    -- A fingerprint that matched on the card that retires another one counts too.
    UPDATE card c SET version = c.version + 1, fingerprint_mismatches = 0
    FROM unnest(v_outcome, p_card_update, p_card, p_tries) AS i(outcome, change, token, matched)
    WHERE i.outcome = 0 AND i.change = 1 AND i.matched = 1 AND c.shard = p_shard AND c.token = i.token;
    -- What changes a card raises the gates of the purses it can draw on, so that what was decided before is looked at again.
    WITH changed AS (
      UPDATE card c SET version = c.version + 1,
        fingerprint_mismatches = CASE i.change WHEN 2 THEN i.tried WHEN 3 THEN 0 ELSE c.fingerprint_mismatches END,
        state = CASE WHEN i.change = 1 THEN 'RETIRED' WHEN i.change = 2 AND i.tried >= i.tries THEN 'SUSPENDED_BIOMETRIC' ELSE c.state END,
        retired_at = CASE WHEN i.change = 1 THEN p_now ELSE c.retired_at END
      FROM unnest(v_outcome, p_card_update, p_update_card, p_raise, p_tries, v_tries) AS i(outcome, change, token, raise, tries, tried)
      WHERE i.outcome = 0 AND c.shard = p_shard AND c.token = i.token
        AND (i.change = 2 OR i.change = 1 AND c.state IN ('ACTIVE', 'PIN_BLOCKED', 'PIN_LOST', 'SUSPENDED_BIOMETRIC') OR i.change = 3 AND c.fingerprint_mismatches > 0)
      RETURNING i.raise
    )
    UPDATE purse p SET gate = p.gate + 1
    FROM (SELECT DISTINCT r::bigint AS id FROM changed, unnest(string_to_array(changed.raise, ',')) AS r) i
    WHERE p.shard = p_shard AND p.id = i.id;
  END IF;

  -- Their transfers.
  INSERT INTO transfer (purse_id, purse_version, event_number, debit_owner, credit_owner, amount, key_date, shard, ordinal, debit_code, credit_code, unit)
  SELECT CASE WHEN t.item > 0 THEN p_purse[t.item] ELSE p_second[-t.item] END, CASE WHEN t.item > 0 THEN v_version[t.item] ELSE v_second_version[-t.item] END,
    v_number[abs(t.item)],
    t_debit_owner[t.at], t_credit_owner[t.at], t_amount[t.at], p_key_date[abs(t.item)], p_shard, t.at, t_debit_code[t.at], t_credit_code[t.at], t_unit[t.at]
  FROM unnest(t_item) WITH ORDINALITY AS o(item, ord), LATERAL (SELECT o.item, o.ord::integer AS at OFFSET 0) t
  WHERE v_outcome[abs(t.item)] = 0;

  -- Their holds: a new one, or what was used or released of the original's.
  IF p_hold_expires IS NOT NULL THEN
    INSERT INTO hold (shard, key_date, key, purse_id, amount, remaining, expires_at)
    SELECT p_shard, i.key_date, i.key, i.purse, i.approved, i.approved, i.expires
    FROM unnest(v_outcome, p_key_date, p_key, p_purse, p_approved, p_hold_expires) AS i(outcome, key_date, key, purse, approved, expires)
    WHERE i.outcome = 0 AND i.expires IS NOT NULL;
  END IF;
  IF p_hold_used IS NOT NULL THEN
    UPDATE hold h SET remaining = h.remaining - i.used
    FROM unnest(v_outcome, p_hold_used, p_original_date, p_original_key) AS i(outcome, used, original_date, original_key)
    WHERE i.outcome = 0 AND i.used > 0 AND h.shard = p_shard AND h.key_date = i.original_date AND h.key = i.original_key;
  END IF;

  outcome := array_to_string(v_outcome, ',');
  balance := array_to_string(v_balance, ',', '');
  held := array_to_string(v_held, ',', '');
  version := array_to_string(v_version, ',', '');
  day := array_to_string(v_day, ',', '');
  spent_amount := array_to_string(v_spent_amount, ',', '');
  spent_count := array_to_string(v_spent_count, ',', '');
  withdrawn_amount := array_to_string(v_withdrawn_amount, ',', '');
  withdrawn_count := array_to_string(v_withdrawn_count, ',', '');
  marks := array_to_string(v_marks, ',', '');
  tries := array_to_string(v_tries, ',', '');
  second_version := array_to_string(v_second_version, ',', '');
END
$$;
