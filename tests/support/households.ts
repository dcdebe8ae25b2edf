/** Households with their purses in a ledger without the switch around it, and a look at their books. */
import { readFileSync } from 'node:fs'
import { programmeOf, type Programme } from '../../src/programmeParameters.ts'
import type { TestLedger } from './commitItems.ts'

/** The programme of `config/`. */
export const PROGRAMME = programmeOf(
  JSON.parse(readFileSync(new URL('../../config/programme.json', import.meta.url), 'utf8')),
) as Programme

export interface Members {
  readonly ration: number
  readonly bread: number
}

export const rationOf = (household: number): number => household * 100 + 92
export const breadOf = (household: number): number => household * 100 + 93
export const pointsOf = (household: number): number => household * 100 + 94

/** With purses of ration, bread and points that were never opened, and one of cash. */
export async function addHousehold(
  { sql }: Pick<TestLedger, 'sql'>,
  household: number,
  { ration, bread }: Members,
): Promise<void> {
  await sql('INSERT INTO household (shard, id, governorate, ration_members, bread_members) VALUES (0, $1, 3, $2, $3)', [
    household,
    ration,
    bread,
  ])
  await sql(
    `INSERT INTO purse (shard, id, kind, unit, household_id, person_id)
     VALUES (0, $1 * 100 + 1, 1, 1, $1, $1 * 100 + 1), (0, $1 * 100 + 92, 2, 2, $1, NULL),
       (0, $1 * 100 + 93, 3, 4, $1, NULL), (0, $1 * 100 + 94, 4, 3, $1, NULL)`,
    [household],
  )
}

export interface PurseRow {
  readonly balance: number
  readonly version: number
  readonly gate: number
  readonly cycle: string | null
  readonly members: number
  readonly marks: number
  readonly items: number[] | null
}

export async function purseRow({ sql }: Pick<TestLedger, 'sql'>, id: number): Promise<PurseRow> {
  const [row] = await sql<PurseRow>(
    `SELECT balance::int, version::int, gate::int, cycle::text, members, marks, items FROM purse WHERE shard = 0 AND id = $1`,
    [id],
  )
  return row!
}

/** @returns ids of purses whose rows are not what their transfers and postings say; of a right ledger there are none */
export async function wrongPurses({ sql }: Pick<TestLedger, 'sql'>): Promise<unknown[]> {
  return await sql(
    `SELECT p.id, p.balance, p.version, t.balance AS transferred, h.versions, h.last FROM purse p
       JOIN purse_kind k ON k.kind = p.kind
       CROSS JOIN LATERAL (
         SELECT coalesce(sum(CASE WHEN t.credit_owner = p.id AND t.credit_code = k.account THEN t.amount
           WHEN t.debit_owner = p.id AND t.debit_code = k.account THEN -t.amount END), 0) AS balance,
           coalesce(bool_and(t.unit = k.unit), true) AS in_unit
         FROM transfer t WHERE t.purse_id = p.id
       ) t
       CROSS JOIN LATERAL (
         SELECT coalesce(array_agg(v.purse_version ORDER BY v.purse_version), '{}') AS versions,
           (array_agg(v.available_after ORDER BY v.purse_version DESC))[1] AS last
         FROM purse_posting v WHERE v.purse_id = p.id
       ) h
     WHERE p.balance <> t.balance OR NOT t.in_unit OR p.balance <> coalesce(h.last, 0)
       OR h.versions <> ARRAY(SELECT generate_series(1, p.version))
     UNION ALL
     SELECT t.purse_id, NULL, t.purse_version, NULL, NULL, NULL FROM transfer t
     WHERE NOT EXISTS (SELECT FROM purse_posting v WHERE v.purse_id = t.purse_id AND v.purse_version = t.purse_version)`,
  )
}
