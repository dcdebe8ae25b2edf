-- The ledger's tables and each of their partitions, the books of closed days, the audit trail and the outbox refuse UPDATE, DELETE and TRUNCATE.
--
-- Result: a row a table. Reads the catalogue only; no locks.
SELECT c.relname AS relation,
  CASE
    WHEN g.tgname IS NULL THEN 'has no append-only trigger'
    WHEN g.tgenabled NOT IN ('O', 'A') THEN 'its append-only trigger is switched off'
    -- pg_trigger.tgtype (catalog/pg_trigger.h): 2 before, 8 delete, 16 update, 32 truncate; 1, for each row, is not set.
    WHEN g.tgtype & 59 <> 58 THEN 'its append-only trigger lets some changes pass'
    WHEN g.tgfoid <> 'refuse_change'::regproc THEN 'its append-only trigger calls another function'
  END AS wrong
FROM (
  SELECT relid FROM pg_partition_tree('"authorization"')
  UNION ALL
  SELECT relid FROM pg_partition_tree('transfer')
  UNION ALL
  SELECT relid FROM (VALUES ('audit_record'::regclass), ('programme_event'::regclass), ('book_entry'::regclass), ('book_transfer'::regclass),
    ('event_mark'::regclass), ('day_total'::regclass), ('outlet_position'::regclass), ('claim'::regclass),
    ('bank_statement'::regclass), ('bank_entry'::regclass), ('bank_match'::regclass), ('bank_match_part'::regclass), ('claim_receipt'::regclass), ('claim_payment'::regclass),
    ('atm_count'::regclass), ('suspense_posting'::regclass)) AS other (relid)
) tree
  JOIN pg_class c ON c.oid = tree.relid
  LEFT JOIN pg_trigger g ON g.tgrelid = tree.relid AND g.tgname = 'append_only'
