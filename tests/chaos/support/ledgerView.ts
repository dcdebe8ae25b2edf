/** What Postgres and Redis hold after the run, read for the judge. Nothing here knows the journal. */
import { Client } from 'pg'
import { HotStateAudit } from '../../../src/decision/hotStateAudit.ts'

/** A row of "authorization". */
export interface Decision {
  readonly key: string
  readonly kind: number
  readonly responseCode: string
  readonly approved: number
  readonly purseId: number | undefined
  readonly approvalCode: string | undefined
  readonly originalKey: string | undefined
  /** It moved a purse. */
  readonly posted: boolean
  /** Of the bread that it drew. */
  readonly cycle: string | undefined
  readonly marks: number
  /** What its purse had after it. */
  readonly availableAfter: number
  readonly heldAfter: number
}

export interface PurseRow {
  readonly balance: number
  readonly held: number
}

export interface LedgerView {
  readonly decisions: readonly Decision[]
  readonly purses: ReadonlyMap<number, PurseRow>
  /** What is left of each hold, by the key of its authorization. */
  readonly holds: ReadonlyMap<string, number>
}

interface DecisionRow {
  readonly key: string
  readonly kind: number
  readonly response_code: string
  readonly approved: string
  readonly purse_id: string | null
  readonly approval_code: string | null
  readonly original_key: string | null
  readonly posted: boolean
  readonly cycle: string | null
  readonly marks: number | null
  readonly available_after: string | null
  readonly held_after: string | null
}

/** All decisions under keys that begin so. */
export async function readLedger(databaseUrl: string, keyPrefix: string): Promise<LedgerView> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const decisions = await client.query<DecisionRow>(
      `SELECT key, kind, response_code, approved, purse_id, approval_code, original_key, purse_version IS NOT NULL AS posted,
              cycle::text, marks, available_after, held_after
       FROM "authorization" WHERE starts_with(key, $1)`,
      [keyPrefix],
    )
    const purses = await client.query<{ id: string; balance: string; held: string }>('SELECT id, balance, held FROM purse')
    const holds = await client.query<{ key: string; remaining: string }>('SELECT key, remaining FROM hold')
    return {
      decisions: decisions.rows.map(decisionOf),
      purses: new Map(purses.rows.map((row) => [Number(row.id), { balance: Number(row.balance), held: Number(row.held) }])),
      holds: new Map(holds.rows.map((row) => [row.key, Number(row.remaining)])),
    }
  } finally {
    await client.end()
  }
}

function decisionOf(row: DecisionRow): Decision {
  return {
    key: row.key,
    kind: row.kind,
    responseCode: row.response_code,
    approved: Number(row.approved),
    purseId: row.purse_id === null ? undefined : Number(row.purse_id),
    approvalCode: row.approval_code ?? undefined,
    originalKey: row.original_key ?? undefined,
    posted: row.posted,
    cycle: row.cycle ?? undefined,
    marks: row.marks ?? 0,
    availableAfter: Number(row.available_after ?? 0),
    heldAfter: Number(row.held_after ?? 0),
  }
}

/** Keys of what is still reserved in Redis. @throws HotStateUnavailable */
export async function openReservationKeys(redisUrl: string): Promise<string[]> {
  const hot = await HotStateAudit.connect({ url: redisUrl, shard: 0, callMs: 5000 })
  try {
    return (await hot.reservations()).map(({ key }) => key)
  } finally {
    hot.close()
  }
}
