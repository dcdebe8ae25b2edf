/**
 * Redis = Postgres when quiet: every purse that Redis holds in the current epoch has the ledger's version and balance, and nothing is
 * reserved. The two cannot be read at one instant, so a purse that differs is looked at again: only what stands still is wrong, what moves is work
 * under way.
 */
import type { Client } from 'pg'
import type { Clock } from '../../clock.ts'
import { HotStateAudit, type HotPurse } from '../../decision/hotStateAudit.ts'
import { HotStateUnavailable, type OpenReservation } from '../../decision/hotRecords.ts'
import { EXAMPLES_MAX, type AuditCheck } from './check.ts'

export interface CompareOptions {
  readonly redisUrl?: string | undefined
  readonly reservationAgeMs: number
  readonly clock: Clock
}

/** Between the two looks: longer than any settlement is under way. */
const SETTLE_MS = 500
const CALL_MS = 5000
/** Purses that are looked at twice; with more than this differing, these will do to show it. */
const SECOND_LOOK_MAX = 10_000

/** @returns the check, left out where Redis cannot be asked, is of another epoch, or the switch is at work */
export async function compareHotState(client: Client, options: CompareOptions): Promise<AuditCheck> {
  if (options.redisUrl === undefined) return skipped('no Redis was named')
  const { rows } = await client.query<{ shard: number; epoch: string }>('SELECT shard, epoch FROM shard_epoch ORDER BY shard')
  if (rows.length === 0) return skipped('no switch has used this ledger with a Redis yet')
  const found: Comparison[] = []
  for (const { shard, epoch } of rows) {
    try {
      found.push(await compareShard(client, options, options.redisUrl, shard, Number(epoch)))
    } catch (error) {
      if (!(error instanceof HotStateUnavailable)) throw error
      return skipped(`Redis cannot be asked: ${error.message}`)
    }
  }
  return summary(found)
}

interface Comparison {
  readonly checked: number
  readonly wrong: readonly Readonly<Record<string, unknown>>[]
  /** Why nothing can be said now. */
  readonly busy?: string
}

async function compareShard(
  client: Client,
  options: CompareOptions,
  url: string,
  shard: number,
  epoch: number,
): Promise<Comparison> {
  const hot = await HotStateAudit.connect({ url, shard, callMs: CALL_MS })
  try {
    const known = await hot.epoch()
    if (known !== epoch)
      return { checked: 0, wrong: [], busy: `Redis has epoch ${String(known ?? 'none')}, the ledger ${String(epoch)}` }
    const reservations = await hot.reservations()
    const sweptBeforeMs = options.clock.now() - options.reservationAgeMs
    const leaked = reservations.filter((one) => one.madeMs < sweptBeforeMs)
    const underWay = new Set(reservations.filter((one) => one.madeMs >= sweptBeforeMs).map((one) => one.purseId))

    let checked = 0
    const different = new Map<number, string>()
    for await (const page of hot.purses(epoch)) {
      checked += page.length
      for (const difference of await differences(client, shard, page)) {
        if (different.size < SECOND_LOOK_MAX) different.set(difference.purseId, JSON.stringify(difference))
      }
    }
    const still: Difference[] = []
    if (different.size > 0) {
      await pause(options.clock, SETTLE_MS)
      const again = await differences(client, shard, await hot.pursesById(epoch, [...different.keys()]))
      still.push(...again.filter((one) => different.get(one.purseId) === JSON.stringify(one) && !underWay.has(one.purseId)))
    }
    const settled = (await hot.epoch()) === epoch && underWay.size === 0 && still.length === different.size
    return {
      checked: checked + reservations.length,
      wrong: [...leaked.map((one) => leak(shard, one, options.clock.now())), ...still],
      ...(settled ? {} : { busy: 'the switch is at work' }),
    }
  } finally {
    hot.close()
  }
}

interface Difference {
  readonly [name: string]: unknown
  readonly purseId: number
}

/** The purses of a page that are not as the ledger has them. */
async function differences(client: Client, shard: number, page: readonly HotPurse[]): Promise<Difference[]> {
  const { rows } = await client.query<{ id: string; version: string; balance: string }>(
    'SELECT id, version, balance FROM purse WHERE shard = $1 AND id = ANY ($2::bigint[])',
    [shard, page.map((purse) => purse.purseId)],
  )
  const ledger = new Map(rows.map((row) => [Number(row.id), { version: Number(row.version), balance: Number(row.balance) }]))
  return page.flatMap(({ purseId, version, balance, reserved }) => {
    const row = ledger.get(purseId)
    const wrong = whatIsWrong({ version, balance, reserved }, row)
    return wrong === undefined ? [] : [{ shard, purseId, inRedis: { version, balance, reserved }, inLedger: row ?? null, wrong }]
  })
}

interface Versioned {
  readonly version: number
  readonly balance: number
}

function whatIsWrong(
  redis: Versioned & { readonly reserved: readonly number[] },
  ledger: Versioned | undefined,
): string | undefined {
  if (ledger === undefined) return 'Redis holds a purse that the ledger does not have'
  if (redis.version > ledger.version) return 'Redis is ahead of the ledger'
  if (redis.version < ledger.version) return 'Redis is behind the ledger'
  if (redis.balance !== ledger.balance) return 'the balances differ'
  return redis.reserved.some((amount) => amount !== 0) ? 'something is reserved that nobody will settle' : undefined
}

function leak(shard: number, { key, purseId, madeMs }: OpenReservation, nowMs: number): Readonly<Record<string, unknown>> {
  return { shard, purseId, key, ageMs: nowMs - madeMs, wrong: 'a reservation that should have been swept' }
}

function summary(found: readonly Comparison[]): AuditCheck {
  const wrong = found.flatMap((one) => one.wrong)
  const busy = found.find((one) => one.busy !== undefined)?.busy
  if (wrong.length === 0 && busy !== undefined) return skipped(busy)
  return {
    name: NAME,
    ok: wrong.length === 0,
    checked: found.reduce((sum, one) => sum + one.checked, 0),
    failures: wrong.length,
    examples: wrong.slice(0, EXAMPLES_MAX),
  }
}

const NAME = 'redis_equals_ledger'

function skipped(why: string): AuditCheck {
  return { name: NAME, ok: true, checked: 0, failures: 0, examples: [], skipped: why }
}

async function pause(clock: Clock, delayMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  clock.after(delayMs, () => {
    resolve(undefined)
  })
  await promise
}
