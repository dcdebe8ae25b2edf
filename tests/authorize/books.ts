/** What the ledger holds, in a form that a test can compare with one literal. */
import { audit } from '../../src/ledger/audit.ts'
import { acquirerPart, idempotencyKey } from '../../src/transaction/identity.ts'
import { expect } from 'vitest'
import { KIND } from '../../src/transaction/transaction.ts'
import type { Sent, TestCard, TestSwitch } from '../support/switch.ts'

export interface Booked {
  readonly kind: string
  readonly code: string
  readonly approved: number
  /** `2000 -> 2220: 1250`, in the order in which they were posted. */
  readonly transfers: readonly string[]
}

const NAMES = new Map<number, string>(Object.entries(KIND).map(([name, number]) => [number, name]))

/** The key under which the switch keeps a message. */
export function keyOf(sent: Sent, link = 'pos'): string {
  return idempotencyKey({
    acquirer: acquirerPart(sent.fields[32], link),
    terminalId: (sent.fields[41] ?? '').trimEnd(),
    time: sent.fields[7] ?? '',
    stan: sent.fields[11] ?? '',
    messageClass: sent.mti.charAt(1),
  })
}

/** The decision under a message's key, with its transfers; undefined where there is none. */
export async function bookedUnder(running: TestSwitch, key: string): Promise<Booked | undefined> {
  const rows = await running.sql<{ kind: number; response_code: string; approved: string; transfers: string[] | null }>(
    `SELECT a.kind, a.response_code, a.approved,
       (SELECT array_agg(t.debit_code || ' -> ' || t.credit_code || ': ' || t.amount ORDER BY t.ordinal) FROM transfer t
        WHERE t.purse_id = a.purse_id AND t.purse_version = a.purse_version
          OR t.purse_id = a.second_purse_id AND t.purse_version = a.second_version) AS transfers
     FROM "authorization" a WHERE a.key = $1`,
    [key],
  )
  expect(rows.length).toBeLessThanOrEqual(1)
  const row = rows[0]
  if (row === undefined) return undefined
  return {
    kind: NAMES.get(row.kind) ?? String(row.kind),
    code: row.response_code,
    approved: Number(row.approved),
    transfers: row.transfers ?? [],
  }
}

export function booked(running: TestSwitch, sent: Sent): Promise<Booked | undefined> {
  return bookedUnder(running, keyOf(sent))
}

export interface PurseRow {
  readonly balance: number
  readonly held: number
}

export async function purseOf(running: TestSwitch, card: TestCard): Promise<PurseRow> {
  const rows = await running.sql<{ balance: string; held: string }>('SELECT balance, held FROM purse WHERE id = $1', [
    card.purseId,
  ])
  return { balance: Number(rows[0]?.balance), held: Number(rows[0]?.held) }
}

/** Whole units of a purse, by its id. */
export async function unitsIn(running: TestSwitch, purseId: number): Promise<number> {
  const rows = await running.sql<{ balance: string }>('SELECT balance FROM purse WHERE id = $1', [purseId])
  return Number(rows[0]?.balance)
}

/** Days of the month that were drawn from a household's bread purse: `[22, 23]`. */
export async function daysDrawn(running: TestSwitch, purseId: number): Promise<number[]> {
  const rows = await running.sql<{ marks: number }>('SELECT marks FROM purse WHERE id = $1', [purseId])
  const marks = rows[0]?.marks ?? 0
  return Array.from({ length: 31 }, (_, bit) => bit + 1).filter((day) => (marks & (1 << (day - 1))) !== 0)
}

export async function stateOf(running: TestSwitch, token: string): Promise<string | undefined> {
  const rows = await running.sql<{ state: string }>('SELECT state FROM card WHERE token = $1', [token])
  return rows[0]?.state
}

/** What is left of an authorization's hold; undefined where it has none. */
export async function holdOf(running: TestSwitch, sent: Sent): Promise<number | undefined> {
  const rows = await running.sql<{ remaining: string }>('SELECT remaining FROM hold WHERE key = $1', [keyOf(sent)])
  return rows[0] === undefined ? undefined : Number(rows[0].remaining)
}

/** The auditor finds nothing wrong. Redis is left out: what it was told last rides along with the next reservation. */
export async function expectCleanBooks(running: TestSwitch): Promise<void> {
  const { databaseUrl, clock, config } = running
  const report = await audit({ databaseUrl, clock, programme: config.programme, holdGraceMs: 60_000, reservationAgeMs: 60_000 })
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
}
