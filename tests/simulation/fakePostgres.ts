/**
 * The simulated ledger: the statements that the simulated part of the switch sends, by their names, on tables in memory. One statement is one
 * serial SQL transaction. tests/simulation/contract.test.ts runs the same cases against it and against a real Postgres.
 */
import type { QueryResultRow } from 'pg'
import type { SqlResult } from '../../src/ledger/sqlClient.ts'
import { commitBatch, type DroppedGuards } from './fakeCommitBatch.ts'
import { FakeTables, REFUNDS, rowName, type AuthorizationRow, type CardRow, type PurseRow } from './fakeTables.ts'
import { openPurses } from './fakeOpenPurses.ts'
import { readArray } from './sqlArrays.ts'

/** What the server says no with: severity ERROR, and its SQLSTATE. */
export class SqlError extends Error {
  readonly severity: string
  readonly code: string

  constructor(code: string, message: string, severity = 'ERROR') {
    super(message)
    this.code = code
    this.severity = severity
  }
}

type Values = readonly unknown[]
type Row = QueryResultRow

export class FakePostgres {
  readonly tables = new FakeTables()
  /** Guards that a planted bug leaves out. */
  dropped: DroppedGuards = {}

  execute(name: string, values: Values): SqlResult<Row> {
    if (name === 'commit_batch') return rows([commitBatch(this.tables, values, this.dropped)])
    const statement = STATEMENTS[name]
    if (statement === undefined) throw new SqlError('26000', `the simulated ledger does not know the statement ${name}`)
    return statement(this.tables, values)
  }
}

const STATEMENTS: Readonly<Record<string, (tables: FakeTables, values: Values) => SqlResult<Row>>> = {
  read_answers: (tables, values) => rows(found(tables, values).map(([, row]) => answerRow(row))),
  originals_by_key: originalsByKey,
  originals_by_reference: originalsByReference,
  refunded_originals: refundedOriginals,
  read_cards: (tables, [, tokens]) =>
    rows([...texts(tokens)].sort(byText).flatMap((token) => cardRows(tables, tables.cards.get(token)))),
  read_household_page: (tables, [, after, limit]) => {
    const ids = [...tables.households.keys()].filter((id) => id > Number(after)).sort((a, b) => a - b)
    return rows(ids.slice(0, Number(limit)).map((id) => ({ id: String(id) })))
  },
  read_household_cards: (tables, [, households]) => {
    const wanted = new Set(texts(households).map(Number))
    const cards = [...tables.cards.values()].filter(({ householdId }) => wanted.has(householdId))
    return rows(cards.sort((a, b) => byText(a.token, b.token)).flatMap((card) => cardRows(tables, card)))
  },
  read_purses: (tables, [, ids]) =>
    rows([...new Set(texts(ids).map(Number))].flatMap((id) => optional(tables.purses.get(id)).map(purseColumns))),
  read_purses_behind: pursesBehind,
  open_purses: (tables, values) => rows([{ opened: openPurses(tables, values) }]),
  expired_holds: (tables, [, now, limit]) => {
    const due = [...tables.holds.values()].filter(({ remaining, expiresAt }) => remaining > 0 && expiresAt < String(now))
    due.sort((a, b) => byText(a.expiresAt, b.expiresAt))
    return rows(due.slice(0, Number(limit)).map(({ key, keyDate }) => ({ key, key_date: keyDate })))
  },
  read_terminals: (tables, [ids]) => rows(texts(ids).flatMap((id) => optional(tables.terminals.get(id)).map(terminalRow))),
  read_epoch: ({ epoch }) =>
    rows(
      optional(epoch).map((one) => ({
        epoch: String(one.epoch),
        redis_run_id: one.runId,
        redis_replication_id: one.replicationId,
        // There is one history: no ledger is restored here.
        is_other_history: false,
      })),
    ),
  first_epoch: (tables, [, epoch, runId, replicationId]) => {
    if (tables.epoch !== undefined) return { rows: [], rowCount: 0 }
    tables.epoch = { epoch: Number(epoch), runId: String(runId), replicationId: String(replicationId) }
    return { rows: [], rowCount: 1 }
  },
  advance_epoch: (tables, [, epoch, runId, replicationId, before]) => {
    if (tables.epoch?.epoch !== Number(before)) return { rows: [], rowCount: 0 }
    tables.epoch = { epoch: Number(epoch), runId: String(runId), replicationId: String(replicationId) }
    return { rows: [], rowCount: 1 }
  },
}

function rows(found: Row[]): SqlResult<Row> {
  return { rows: found, rowCount: found.length }
}

function texts(values: unknown): string[] {
  return (readArray(values) ?? []).filter((one) => one !== null)
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function optional<T>(one: T | undefined): T[] {
  return one === undefined ? [] : [one]
}

function bigint(value: number | null): string | null {
  return value === null ? null : String(value)
}

/** Questions by date and key, each with its position from 1. */
function found(tables: FakeTables, [, dates, keys]: Values, also: readonly string[] = ['']): [number, AuthorizationRow][] {
  const [keyDates, names] = [texts(dates), texts(keys)]
  return names.flatMap((key, index) =>
    also.flatMap((suffix) =>
      optional(tables.decision(keyDates[index] ?? '', key + suffix)).map((row): [number, AuthorizationRow] => [index + 1, row]),
    ),
  )
}

function answerRow(row: AuthorizationRow): Row {
  return {
    key: row.key,
    key_date: row.keyDate,
    mti: row.mti,
    kind: row.kind,
    body: row.body,
    response_code: row.responseCode,
    reason: row.reason,
    approval_code: row.approvalCode,
    approved: String(row.approved),
    requested: String(row.requested),
    rrn: row.rrn,
    available_after: bigint(row.availableAfter),
    held_after: bigint(row.heldAfter),
    quantity: bigint(row.quantity),
    second: row.secondVersion !== null,
  }
}

function originalsByKey(tables: FakeTables, values: Values): SqlResult<Row> {
  const named = found(tables, values, ['', '|F'])
  return rows(named.sort(([, a], [, b]) => byText(a.key, b.key)).map(([asked, row]) => originalRow(tables, asked, row)))
}

function originalsByReference(tables: FakeTables, [, purses, rrns, codes]: Values): SqlResult<Row> {
  const [numbers, approvals] = [texts(rrns), texts(codes)]
  return rows(
    texts(purses).flatMap((purse, index) =>
      [...tables.byReference(Number(purse), numbers[index] ?? '', approvals[index] ?? '')]
        .sort((a, b) =>
          a.decidedAt === b.decidedAt ? (b.purseVersion ?? -1) - (a.purseVersion ?? -1) : byText(b.decidedAt, a.decidedAt),
        )
        .map((row) => originalRow(tables, index + 1, row)),
    ),
  )
}

/** There are no disputes in this ledger. */
function refundedOriginals(tables: FakeTables, values: Values): SqlResult<Row> {
  return rows(
    found(tables, values).flatMap(([asked, refund]) =>
      optional(tables.decision(refund.originalDate ?? '', refund.originalKey ?? '')).map((row) => {
        const original: Readonly<Record<string, unknown>> = originalRow(tables, asked, row)
        const { from_suspense, linked, given_back, given_back_to_suspense, provisional } = original
        const links = tables.linkedTo(row.purseId, row.keyDate, row.key)
        const settled = links.slice(links.indexOf(refund) + 1).some(({ kind }) => kind === 10 || kind === 24)
        return {
          asked: String(asked),
          from_suspense,
          linked,
          given_back,
          given_back_to_suspense,
          provisional,
          case_open: false,
          settled,
        }
      }),
    ),
  )
}

/** Numbers: see KIND. These give back, less what of a refund was reversed itself; 3 completes; 23 is lent for a dispute, 25 taken back of that. */
const GIVE_BACK: readonly number[] = [8, 10, 12, 17, 24]
const LENT: Readonly<Record<number, number>> = { 23: 1, 25: -1 }

function originalRow(tables: FakeTables, asked: number, row: AuthorizationRow): Row {
  const linked = tables.linkedTo(row.purseId, row.keyDate, row.key)
  let [givenBack, toSuspense, quantity, provisional, kept] = [0, 0, 0, 0, 0]
  for (const one of linked) {
    const reversals = REFUNDS.includes(one.kind)
      ? tables.linkedTo(one.purseId, one.keyDate, one.key).filter(({ kind }) => kind === 10)
      : []
    const taken = (of: (reversal: AuthorizationRow) => number | null): number =>
      reversals.reduce((sum, reversal) => sum + (of(reversal) ?? 0), 0)
    provisional += (LENT[one.kind] ?? 0) * one.approved
    kept += Math.max(taken(({ fromSuspense }) => fromSuspense) - (one.fromSuspense ?? 0), 0)
    if (!GIVE_BACK.includes(one.kind)) continue
    givenBack += one.approved - taken(({ approved }) => approved)
    toSuspense += Math.max((one.fromSuspense ?? 0) - taken(({ fromSuspense }) => fromSuspense), 0)
    if (one.quantity !== null) quantity += one.quantity - taken((reversal) => reversal.quantity)
  }
  const purse = row.purseId === null ? undefined : tables.purses.get(row.purseId)
  const hold = tables.holds.get(rowName(row.keyDate, row.key))
  return {
    asked: String(asked),
    key: row.key,
    key_date: row.keyDate,
    kind: row.kind,
    response_code: row.responseCode,
    card_token: row.cardToken,
    merchant_id: bigint(row.merchantId),
    terminal_id: row.terminalId,
    purse_id: bigint(row.purseId),
    purse_kind: purse?.kind ?? null,
    quantity: bigint(row.quantity),
    cycle: row.cycle,
    marks: row.marks,
    items: row.items,
    second_purse_id: bigint(row.secondPurseId),
    approved: String(row.approved),
    approval_code: row.approvalCode,
    from_suspense: bigint(row.fromSuspense),
    day: cairoDate(row.decidedAt),
    linked: String(tables.touchedBy(row.purseId, row.keyDate, row.key)),
    given_back: String(givenBack),
    given_back_to_suspense: String(toSuspense),
    given_back_quantity: String(quantity),
    provisional: String(provisional),
    kept: String(kept),
    completed: linked.some(({ kind }) => kind === 3),
    hold_remaining: bigint(hold?.remaining ?? null),
  }
}

const cairo = new Intl.DateTimeFormat('en-CA', { timeZone: 'Africa/Cairo', year: 'numeric', month: '2-digit', day: '2-digit' })
const cairoDates = new Map<string, string>()

/** Formatting is slow, and the instants of a history are in few minutes. */
function cairoDate(instant: string): string {
  const minute = instant.slice(0, 16)
  const known = cairoDates.get(minute)
  if (known !== undefined) return known
  const date = cairo.format(Date.parse(instant))
  cairoDates.set(minute, date)
  return date
}

/** An old card draws on the household's purses, a member's card on the person's, the head's on both. */
function cardRows(tables: FakeTables, card: CardRow | undefined): Row[] {
  const household = tables.households.get(card?.householdId ?? 0)
  if (card === undefined || household === undefined) return []
  const person = tables.persons.get(card.personId ?? 0)
  const purses = tables
    .pursesOf(card.householdId)
    .filter(({ personId }) => (personId === null ? card.role !== 'member' : personId === card.personId))
    .sort((a, b) => a.kind - b.kind)
  const old =
    card.role !== 'head'
      ? undefined
      : [...tables.cards.values()].find(
          ({ householdId, role, state }) =>
            householdId === card.householdId &&
            role === 'old' &&
            ['ACTIVE', 'PIN_BLOCKED', 'PIN_LOST', 'SUSPENDED_BIOMETRIC'].includes(state),
        )
  const own = {
    token: card.token,
    masked: card.masked,
    state: card.state,
    expiry: card.expiry,
    card_version: String(card.version),
    role: card.role,
    governorate: household.governorate,
    fingerprint_mismatches: card.fingerprintMismatches,
    retired_at: card.retiredAt === null ? null : new Date(card.retiredAt),
    psn: card.psn,
    pin_reference: card.pinReference,
    pin_tries: card.pinTries,
    atc_max: card.atcMax,
    atc_seen: card.atcSeen.toString(),
    issuer_script: card.issuerScript,
    cover_class: person?.coverClass ?? null,
    cover_from: person?.coverFrom ?? null,
    cover_until: person?.coverUntil ?? null,
    old_card: old?.token ?? null,
  }
  if (purses.length === 0) return [{ ...own, id: null }]
  return purses.map((purse) => ({
    ...own,
    kind: purse.kind,
    cycle: purse.cycle,
    members: purse.members,
    ...purseColumns(purse),
  }))
}

function purseColumns(purse: PurseRow): Row {
  return {
    id: String(purse.id),
    version: String(purse.version),
    balance: String(purse.balance),
    gate: String(purse.gate),
    day: purse.day,
    spent_amount: String(purse.spentAmount),
    spent_count: purse.spentCount,
    withdrawn_amount: String(purse.withdrawnAmount),
    withdrawn_count: purse.withdrawnCount,
    marks: purse.marks,
    items: purse.items === null ? null : [...purse.items],
  }
}

function terminalRow(terminal: FakeTables['terminals'] extends Map<string, infer T> ? T : never): Row {
  return {
    id: String(terminal.id),
    terminal_id: terminal.terminalId,
    class: terminal.class,
    state: terminal.state,
    wallet: terminal.wallet,
    offline: terminal.offline,
    merchant_id: String(terminal.merchantId),
    acceptor_id: terminal.acceptorId,
    category: terminal.category,
    governorate: terminal.governorate,
    merchant_state: 'ACTIVE',
    certificate: null,
    link: null,
    mac_key: null,
  }
}

/** Purses of some kinds that were opened for an earlier month, or never, grouped by kind and month. */
function pursesBehind(tables: FakeTables, [, kinds, month, ids]: Values): SqlResult<Row> {
  const wanted = new Set(texts(kinds).map(Number))
  const groups = new Map<string, PurseRow[]>()
  for (const id of [...new Set(texts(ids).map(Number))].sort((a, b) => a - b)) {
    const purse = tables.purses.get(id)
    if (purse === undefined || !wanted.has(purse.kind) || (purse.cycle !== null && purse.cycle >= String(month))) continue
    const name = `${purse.kind} ${purse.cycle ?? '~'}`
    groups.set(name, [...(groups.get(name) ?? []), purse])
  }
  return rows(
    [...groups]
      .sort(([a], [b]) => byText(a, b))
      .map(([, group]) => ({
        kind: group[0]?.kind,
        cycle: group[0]?.cycle ?? null,
        last: String(group.at(-1)?.id),
        ids: group.map(({ id }) => String(id)),
      })),
  )
}
