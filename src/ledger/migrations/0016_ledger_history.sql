-- Up Migration

-- Which history of the ledger this server writes: its cluster, and the timeline that the next record goes to. A standby that is promoted and a backup that
-- is restored each begin a timeline of their own (PostgreSQL manual, 26.3.6), so what was committed before and is not in theirs cannot be taken for theirs.
-- pg_control_checkpoint() would tell the timeline of the last checkpoint, which is the old one for a while.
CREATE FUNCTION ledger_history() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()
$$;

-- An epoch holds for one Redis and one history of the ledger: a Redis that followed another one may know later versions than there are.
ALTER TABLE shard_epoch ADD COLUMN ledger_history text;
