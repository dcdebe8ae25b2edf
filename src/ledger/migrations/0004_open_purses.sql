-- Up Migration

-- open_purses: opens purses of one kind for a month. What is left of the month before is closed, or becomes units of another purse of the
-- household; the new month's entitlement is issued by the household's count of members; the days and goods drawn start anew.
--
-- It may be called twice, at the same time, and again after it was cut short. Under the purse's lock it opens only what was last opened for the
-- month before, or never; and its key is the purse and the month. A purse that is several months behind is opened by a call a month, the
-- oldest first, so that each month's rest is closed by its own rule; one that was never opened must be given for the latest month only.
--
-- Parameters: p_month, the first day of the month; p_purses, of which those of another kind, opened already or further behind are left alone;
--   p_counts, `ration` or `bread`, whose members count; p_entitlement, the month's units by members + 1, the last also for more members;
--   p_account, the purses' account, in p_unit; p_closing, the account that takes the rest. p_into_kind, p_into_account and p_into_unit: the purse
--   that gets p_rate units for each that is left; null where the rest is worth nothing.
-- Result: how many it opened. A purse is left behind, with nothing written, where its rest should become units of a purse that there is not,
--   where its household is not there, and where its key is taken although it was not opened.
-- An opening that moves nothing (no members, no rest) has a row too, but is no posting: purse_version is null and the version stays.
-- Locks: the purses and those their rests go to, ORDER BY shard, id FOR NO KEY UPDATE, before any key, as commit_batch has it. A key has its
--   purse in it, so whoever wants the same key waits for the purse first. A partition that is missing is made before any lock.
CREATE FUNCTION open_purses(
  p_shard smallint, p_now timestamptz, p_month date, p_kind smallint, p_purses bigint[],
  p_counts text, p_entitlement bigint[], p_account smallint, p_closing smallint,
  p_into_kind smallint, p_into_account smallint, p_rate bigint, p_unit smallint, p_into_unit smallint
) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  c_opening CONSTANT smallint := 16;
  c_issued CONSTANT smallint := 9000;
  v_opened integer;
BEGIN
  IF extract(day FROM p_month) <> 1 OR p_counts NOT IN ('ration', 'bread') THEN
    RAISE EXCEPTION 'not a month and a count of members: %, %', p_month, p_counts;
  END IF;
  IF to_regclass('authorization_' || to_char(p_month, 'YYYYMM')) IS NULL OR to_regclass('transfer_' || to_char(p_month, 'YYYYMM')) IS NULL THEN
    PERFORM ensure_partitions(p_month, 1);
  END IF;

  -- The SQL transaction has an id before it takes event numbers: see event_number (0008_card_life.sql).
  PERFORM pg_current_xact_id();
  PERFORM 1 FROM purse
  WHERE shard = p_shard AND id = ANY (p_purses || ARRAY(
    SELECT q.id FROM purse p JOIN purse q ON q.shard = p_shard AND q.household_id = p.household_id AND q.kind = p_into_kind AND q.person_id IS NULL
    WHERE p.shard = p_shard AND p.id = ANY (p_purses)
  ))
  ORDER BY shard, id FOR NO KEY UPDATE;

  -- In a statement of its own, which sees what others committed while the purses were waited for.
  WITH due AS MATERIALIZED (
    SELECT p.id, p.balance AS rest, p.held, d.members, d.entitlement,
      CASE WHEN p.balance > 0 OR d.entitlement > 0 THEN p.version + 1 END AS version,
      CASE WHEN p.balance > 0 THEN q.id END AS into_id,
      CASE WHEN p.balance > 0 THEN q.version + 1 END AS into_version,
      q.balance + p.balance * p_rate AS into_balance,
      format('opening|%s|%s', to_char(p_month, 'YYYY-MM'), p.id) AS key
    FROM purse p
      JOIN household h ON h.shard = p_shard AND h.id = p.household_id
      CROSS JOIN LATERAL (SELECT CASE p_counts WHEN 'ration' THEN h.ration_members ELSE h.bread_members END AS members) c
      CROSS JOIN LATERAL (SELECT c.members, p_entitlement[LEAST(c.members + 1, cardinality(p_entitlement))] AS entitlement) d
      LEFT JOIN purse q ON q.shard = p_shard AND q.household_id = p.household_id AND q.kind = p_into_kind AND q.person_id IS NULL
    WHERE p.shard = p_shard AND p.id = ANY (p_purses) AND p.kind = p_kind
      AND (p.cycle IS NULL OR p.cycle = (p_month - interval '1 month')::date)
      AND (p_into_kind IS NULL OR p.balance = 0 OR q.id IS NOT NULL)
  ), inserted AS (
    INSERT INTO "authorization" (purse_id, purse_version, requested, approved, available_after, held_after, decided_at, key_date, shard, mti,
      kind, key, response_code, cycle, second_purse_id, second_version, second_available_after)
    SELECT id, version, entitlement, entitlement, entitlement, held, p_now, p_month, p_shard, 0,
      c_opening, key, '00', p_month, into_id, into_version, CASE WHEN into_id IS NOT NULL THEN into_balance END
    FROM due ORDER BY id
    ON CONFLICT (shard, key_date, key) DO NOTHING
    RETURNING purse_id
  ), won AS MATERIALIZED (
    -- IS TRUE keeps it a look-up in a hash table. As a join it is planned for the handful of rows that an array is taken to have: each with each.
    SELECT *, nextval('event_number') AS event_number FROM due WHERE (id IN (SELECT purse_id FROM inserted)) IS TRUE
  ), given AS (
    UPDATE purse p SET balance = won.into_balance, version = won.into_version
    FROM won
    WHERE p.shard = p_shard AND p.id = won.into_id
  ), moved AS (
    INSERT INTO transfer (purse_id, purse_version, event_number, debit_owner, credit_owner, amount, key_date, shard, ordinal, debit_code, credit_code, unit)
    SELECT t.purse, t.version, won.event_number, t.debit_owner, t.credit_owner, t.amount, p_month, p_shard, t.ordinal, t.debit, t.credit, t.unit
    FROM won CROSS JOIN LATERAL (VALUES
        (1, won.id, won.version, won.id, 0, won.rest, p_account, p_closing, p_unit),
        (2, won.id, won.version, 0, won.id, won.entitlement, c_issued, p_account, p_unit),
        (3, won.into_id, won.into_version, 0, won.into_id, won.rest * p_rate, c_issued, p_into_account, p_into_unit)
      ) AS t(ordinal, purse, version, debit_owner, credit_owner, amount, debit, credit, unit)
    WHERE t.amount > 0 AND t.purse IS NOT NULL
  )
  UPDATE purse p SET balance = won.entitlement, version = coalesce(won.version, p.version), gate = p.gate + 1,
    cycle = p_month, members = won.members, marks = 0, items = NULL
  FROM won
  WHERE p.shard = p_shard AND p.id = won.id;
  GET DIAGNOSTICS v_opened = ROW_COUNT;
  RETURN v_opened;
END
$$;
