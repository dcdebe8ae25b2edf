/**
 * Opens purses that have a cycle for a month: what is left of the month before expires or becomes units of another purse, and the month's
 * entitlement is issued (migrations/0004_open_purses.sql). Each purse is opened once a month, whoever asks first and however often: the job
 * of the 1st, in chunks; or the authorizer, where a card is used before its chunk has come.
 */
import { entitlementOf, monthOf, nextMonth } from '../purse/entitlement.ts'
import { parametersOn, type EntitlementRules, type Programme, type PurseDefinition } from '../programmeParameters.ts'
import type { LedgerConnection, Statement } from './connection.ts'

/** The most that one SQL transaction opens: it holds the locks of so many purses. */
export const CHUNK_MAX = 1000
/** Purses that one statement looks at to find those that are behind, so that none runs long on a ledger where few are. */
const PAGE_ROWS = 2_000

export interface CycleContext {
  /** Cairo date. Purses are opened for its month. */
  readonly day: string
  readonly programme: Programme
}

export interface OpenAllOptions extends CycleContext {
  /** Milliseconds since 1970; asked for each chunk. */
  readonly now: () => number
  /** Purses a SQL transaction, at most CHUNK_MAX. */
  readonly chunk: number
  /** Awaited after each chunk and each page: leaves the servers to the authorizations for a while. */
  readonly pause?: () => Promise<void>
  readonly onProgress?: (progress: OpenAllProgress) => void
  /** Asked between two chunks. */
  readonly shouldStop?: () => boolean
}

export interface OpenAllProgress {
  readonly opened: number
  /** All purses up to this id have been looked at, of those up to `lastId`. */
  readonly looked: number
  readonly lastId: number
}

export interface OpenAllResult {
  /** Openings: a purse that was two months behind counts twice. */
  readonly opened: number
  /** Purses that could not be opened: something that belongs to them is not there. */
  readonly behind: number
  /** It was asked to stop; running it again goes on from there. */
  readonly stopped: boolean
}

const OPEN: Statement = {
  name: 'open_purses',
  text: 'SELECT open_purses($1, $2, $3::date, $4, $5::bigint[], $6, $7::bigint[], $8, $9, $10, $11, $12, $13, $14) AS opened',
}

const BEHIND = 'kind = ANY ($2::smallint[]) AND (cycle IS NULL OR cycle < $3::date)'

const READ_BEHIND: Statement = {
  name: 'read_purses_behind',
  text: `SELECT kind, cycle::text, max(id) AS last, array_agg(id ORDER BY id) AS ids
    FROM purse WHERE shard = $1 AND id = ANY ($4::bigint[]) AND ${BEHIND} GROUP BY kind, cycle ORDER BY kind, cycle`,
}

/** A group of purses that are not behind has no ids: it only says how far the page goes. */
const READ_BEHIND_PAGE: Statement = {
  name: 'read_purses_behind_page',
  text: `WITH page AS MATERIALIZED (SELECT id, kind, cycle FROM purse WHERE shard = $1 AND id > $4 ORDER BY id LIMIT $5)
    SELECT kind, cycle::text, max(id) AS last, array_agg(id ORDER BY id) FILTER (WHERE ${BEHIND}) AS ids
    FROM page GROUP BY kind, cycle ORDER BY kind, cycle`,
}

const READ_LAST: Statement = { name: 'read_last_purse', text: 'SELECT coalesce(max(id), 0) AS last FROM purse WHERE shard = $1' }

interface BehindRow {
  readonly kind: number
  readonly cycle: string | null
  readonly last: string
  readonly ids: readonly string[] | null
}

/**
 * Opens those of the purses that are behind, month by month. Purses without a cycle are skipped.
 *
 * @returns how many openings there were @throws like LedgerConnection.run; each month of each CHUNK_MAX purses is done or not
 */
export async function openPurses(
  connection: LedgerConnection,
  shard: number,
  { nowMs, purseIds, ...context }: CycleContext & { readonly nowMs: number; readonly purseIds: readonly number[] },
): Promise<number> {
  const { rows } = await connection.run<BehindRow>(READ_BEHIND, [...behindParameters(shard, context), purseIds])
  let opened = 0
  for (const step of rows.flatMap((row) => stepsOf(context, row, CHUNK_MAX))) opened += await open(connection, shard, nowMs, step)
  return opened
}

/**
 * Opens every purse that is behind, in the order of ids, each chunk a SQL transaction. Where it was cut short, running it again does the rest.
 *
 * @throws like LedgerConnection.run
 */
export async function openAll(connection: LedgerConnection, shard: number, options: OpenAllOptions): Promise<OpenAllResult> {
  const { now, chunk, pause, onProgress, shouldStop = () => false } = options
  if (!Number.isInteger(chunk) || chunk < 1 || chunk > CHUNK_MAX)
    throw new RangeError(`a chunk is of 1 to ${String(CHUNK_MAX)} purses, not ${String(chunk)}`)
  const parameters = behindParameters(shard, options)
  const lastId = Number((await connection.run<{ last: string }>(READ_LAST, [shard])).rows[0]?.last)
  let opened = 0
  let behind = 0
  let looked = 0
  for (;;) {
    if (shouldStop()) return { opened, behind, stopped: true }
    const { rows } = await connection.run<BehindRow>(READ_BEHIND_PAGE, [...parameters, looked, PAGE_ROWS])
    if (rows.length === 0) return { opened, behind, stopped: false }
    let expected = 0
    const before = opened
    for (const step of rows.flatMap((row) => stepsOf(options, row, chunk))) {
      if (shouldStop()) return { opened, behind, stopped: true }
      opened += await open(connection, shard, now(), step)
      expected += step.ids.length
      onProgress?.({ opened, looked, lastId })
      await pause?.()
    }
    // Most often somebody else was faster; but where a purse can not be opened that must not pass unseen.
    if (opened - before < expected) behind += await countBehind(connection, parameters, rows)
    looked = Math.max(...rows.map((row) => Number(row.last)))
    onProgress?.({ opened, looked, lastId })
    // Looking takes its time too, also where nobody is behind: at each start of a switch.
    await pause?.()
  }
}

/** One call of open_purses: some purses of a kind, for a month. */
interface Step {
  readonly rules: MonthRules
  readonly ids: readonly string[]
}

/** The months that purses are behind, the oldest first; those never opened begin with the present one. */
function stepsOf(context: CycleContext, { kind, cycle, ids }: BehindRow, chunk: number): Step[] {
  if (ids === null) return []
  const present = monthOf(context.day)
  const months: string[] = []
  for (let month = cycle === null ? present : nextMonth(cycle); month <= present; month = nextMonth(month)) months.push(month)
  const rules = months.map((month) =>
    // A purse that is new has no days before the present one that could become points.
    cycle === null
      ? { ...rulesOf(context.programme, kind, month, month, present), from: context.day }
      : rulesOf(context.programme, kind, month, monthBefore(month), present),
  )
  const chunks = Array.from({ length: Math.ceil(ids.length / chunk) }, (_, index) =>
    ids.slice(index * chunk, (index + 1) * chunk),
  )
  return chunks.flatMap((some) => rules.map((each) => ({ rules: each, ids: some })))
}

function monthBefore(month: string): string {
  return monthOf(new Date(Date.parse(month) - 1).toISOString().slice(0, 10))
}

interface MonthRules {
  readonly purse: PurseDefinition
  readonly month: string
  /** The day from which its entitlement counts. */
  readonly from: string
  /** By which the month's entitlement is issued; undefined where there was none in that month. */
  readonly issue: EntitlementRules | undefined
  /** By which the rest of the month before is closed. */
  readonly close: EntitlementRules
  readonly into: PurseDefinition | undefined
}

/** A month goes by the rules that held on its first day: what it issues, and what becomes of its rest when it is over. */
function rulesOf(programme: Programme, kind: number, month: string, before: string, present: string): MonthRules {
  const purse = programme.purses.find((known) => known.kind === kind)
  if (purse === undefined) throw new RangeError(`no purse of kind ${String(kind)}`)
  const issue = entitlementOn(programme, purse, month)
  const close = entitlementOn(programme, purse, before) ?? issue ?? entitlementOn(programme, purse, present)
  if (close === undefined) throw new RangeError(`${purse.name} has no entitlement in ${present}`)
  return { purse, month, from: month, issue, close, into: programme.purses.find((known) => known.name === close.becomes?.purse) }
}

function entitlementOn(programme: Programme, purse: PurseDefinition, day: string): EntitlementRules | undefined {
  return parametersOn(programme, day).services[purse.name]?.entitlement
}

async function open(connection: LedgerConnection, shard: number, nowMs: number, { rules, ids }: Step): Promise<number> {
  const { purse, month, from, issue, close, into } = rules
  const { rows } = await connection.run<{ opened: number }>(OPEN, [
    shard,
    new Date(nowMs).toISOString(),
    month,
    purse.kind,
    ids,
    (issue ?? close).counts,
    issue === undefined ? [0] : entitlementsByMembers(issue, from),
    purse.account,
    close.closingAccount,
    into?.kind ?? null,
    into?.account ?? null,
    into === undefined ? null : (close.becomes?.rate ?? null),
    purse.unit.number,
    into?.unit.number ?? null,
  ])
  return rows[0]?.opened ?? 0
}

/** For 0, 1, 2 ... members, up to the last who is entitled to anything. */
function entitlementsByMembers(rules: EntitlementRules, from: string): number[] {
  const membersMax = Math.max(...rules.tiers.map((tier) => tier.membersMax))
  return Array.from({ length: membersMax + 1 }, (_, members) => entitlementOf(rules, members, from))
}

/** @returns the first three parameters of READ_BEHIND and READ_BEHIND_PAGE */
function behindParameters(shard: number, { programme, day }: CycleContext): readonly [number, readonly number[], string] {
  const month = monthOf(day)
  const cycled = programme.purses.filter((purse) => entitlementOn(programme, purse, month) !== undefined)
  return [shard, cycled.map((purse) => purse.kind), month]
}

async function countBehind(
  connection: LedgerConnection,
  parameters: readonly unknown[],
  rows: readonly BehindRow[],
): Promise<number> {
  const result = await connection.run<BehindRow>(READ_BEHIND, [...parameters, rows.flatMap((row) => row.ids ?? [])])
  return result.rows.reduce((sum, row) => sum + (row.ids?.length ?? 0), 0)
}
