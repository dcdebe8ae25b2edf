-- Up Migration

-- The event number up to which people have been told of what messages did (src/programme/notices/eventNotices.ts).
CREATE TABLE notice_progress (
  shard smallint PRIMARY KEY,
  until bigint NOT NULL
);

-- Few ask for a notice after each transaction.
CREATE INDEX person_transaction_notices ON person (shard, id) WHERE transaction_notices;
