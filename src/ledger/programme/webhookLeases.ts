/**
 * Which process sends to a webhook, and how far it has come. A lease keeps a second one away, so that events arrive in order; it is judged by the database's
 * clock. What a holder writes counts only while nobody else has the webhook and nobody has changed it (`version`).
 */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

/** A webhook as a process that looks for work sees it. */
export interface WebhookDue {
  readonly id: string
  readonly version: number
  readonly toldUntil: number
  /** It is active, no other process has it, and no wait after a failure is under way. */
  readonly due: boolean
}

/** A webhook that this process sends to. */
export interface LeasedWebhook {
  readonly id: string
  readonly version: number
  readonly url: string
  readonly kinds: readonly string[]
  readonly keyId: string
  readonly secret: Buffer
  readonly toldUntil: number
  readonly attempts: number
  /** Where the events end that could not be sent so far; null: the last request went well. */
  readonly tryingUntil: number | null
}

const LIST: Statement = {
  name: 'list_webhooks_due',
  text: `
    SELECT id, version::float8, told_until::float8 AS "toldUntil",
      state = 'active' AND (holder = $2 OR leased_until IS NULL OR leased_until < clock_timestamp()) IS TRUE
        AND (next_at IS NULL OR next_at <= clock_timestamp()) AS due
    FROM webhook WHERE shard = $1`,
}
const LEASE: Statement = {
  name: 'lease_webhook',
  text: `
    UPDATE webhook SET holder = $3, leased_until = clock_timestamp() + make_interval(secs => $4::float8 / 1000),
      told_until = CASE WHEN holder = $3 AND version = $5 THEN GREATEST(told_until, $6) ELSE told_until END
    WHERE shard = $1 AND id = $2 AND state = 'active' AND (holder = $3 OR leased_until IS NULL OR leased_until < clock_timestamp()) IS TRUE
      AND (next_at IS NULL OR next_at <= clock_timestamp())
    RETURNING id, version::float8, url, kinds, key_id AS "keyId", secret, told_until::float8 AS "toldUntil", attempts, trying_until::float8 AS "tryingUntil"`,
}
const MINE = `shard = $1 AND id = $2 AND holder = $3 AND version = $4`
const TAKEN: Statement = {
  name: 'webhook_took',
  text: `
    UPDATE webhook SET told_until = $5, attempts = 0, trying_until = NULL, next_at = NULL, last_failure = NULL, last_told_at = clock_timestamp()
    WHERE ${MINE} RETURNING id`,
}
const FAILED: Statement = {
  name: 'webhook_failed',
  text: `
    UPDATE webhook SET attempts = attempts + 1, trying_until = $5, last_failure = $6,
      next_at = clock_timestamp() + make_interval(secs => $7::float8 / 1000)
    WHERE ${MINE} RETURNING id`,
}
const GIVEN_UP: Statement = {
  name: 'webhook_given_up',
  text: `
    WITH moved AS (
      UPDATE webhook SET told_until = $5, attempts = 0, trying_until = NULL, next_at = NULL, last_failure = $6 WHERE ${MINE} RETURNING shard, id
    ), dead AS (
      INSERT INTO webhook_dead_letter (shard, webhook_id, number, kind, given_up_at, attempts, failure)
      SELECT moved.shard, moved.id, e.number, e.kind, clock_timestamp(), $7, $6 FROM moved, unnest($8::bigint[], $9::text[]) AS e(number, kind)
      ON CONFLICT (shard, webhook_id, number) DO NOTHING
    )
    SELECT id FROM moved`,
}
const RELEASE: Statement = {
  name: 'release_webhooks',
  text: 'UPDATE webhook SET leased_until = NULL, holder = NULL WHERE shard = $1 AND holder = $2',
}

export function listWebhooksDue(tx: SqlTransaction, holder: string): Promise<WebhookDue[]> {
  return tx.rows<WebhookDue>(LIST, [tx.shard, holder])
}

/** Whose lease, of what as it was known. */
export interface Holding {
  readonly id: string
  readonly holder: string
  readonly version: number
}

/**
 * Takes or renews a lease.
 *
 * @param looked up to this number there was nothing of interest, as this holder has found under `version`
 * @returns undefined where another has it, or it is not to be sent to now
 */
export function leaseWebhook(
  tx: SqlTransaction,
  { id, holder, version }: Holding,
  { leaseMs, looked }: { readonly leaseMs: number; readonly looked: number },
): Promise<LeasedWebhook | undefined> {
  return tx.row<LeasedWebhook>(LEASE, [tx.shard, id, holder, leaseMs, version, looked])
}

/** The three below: @returns false where the lease is another's by now, or the webhook was changed: nothing was written */
export async function webhookTook(tx: SqlTransaction, holding: Holding, until: number): Promise<boolean> {
  return (await tx.row(TAKEN, [...mine(tx, holding), until])) !== undefined
}

export async function webhookFailed(
  tx: SqlTransaction,
  holding: Holding,
  failed: { readonly until: number; readonly failure: string; readonly waitMs: number },
): Promise<boolean> {
  return (await tx.row(FAILED, [...mine(tx, holding), failed.until, failed.failure, failed.waitMs])) !== undefined
}

export async function webhookGivenUp(
  tx: SqlTransaction,
  holding: Holding,
  given: {
    readonly until: number
    readonly failure: string
    readonly attempts: number
    readonly events: readonly { readonly id: number; readonly kind: string }[]
  },
): Promise<boolean> {
  const { until, failure, attempts, events } = given
  const values = [until, failure, attempts, events.map(({ id }) => id), events.map(({ kind }) => kind)]
  return (await tx.row(GIVEN_UP, [...mine(tx, holding), ...values])) !== undefined
}

/** Another process may take over at once. */
export async function releaseWebhooks(tx: SqlTransaction, holder: string): Promise<void> {
  await tx.row(RELEASE, [tx.shard, holder])
}

function mine(tx: SqlTransaction, { id, holder, version }: Holding): unknown[] {
  return [tx.shard, id, holder, version]
}
