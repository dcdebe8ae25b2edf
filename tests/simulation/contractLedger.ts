/** A real ledger and a simulated one with the same rows in it, and random batches to commit to both. */
import { Pool } from 'pg'
import { afterAll } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { movementOf, NOTHING_TO_POST } from '../../src/decision/posting.ts'
import type { CardToken } from '../../src/card.ts'
import { commitParameterCount, commitParameters, type CommitItem } from '../../src/ledger/commitItem.ts'
import { LedgerConnection } from '../../src/ledger/connection.ts'
import type { OpenSession } from '../../src/ledger/sqlClient.ts'
import { silentLogger } from '../../src/log.ts'
import { createDatabase } from '../support/stack.ts'
import { FakePostgres } from './fakePostgres.ts'
import { rowName, type FakeTables } from './fakeTables.ts'
import { cardsOf, openHousehold, simulatedConfig, simulatedTerminals } from './programme.ts'
import type { Random } from './random.ts'

export const config = simulatedConfig()
export const DAY = '2026-11-22'
export const MONTH = '2026-11-01'
const HOUSEHOLDS = [500_001, 500_002, 500_003, 500_004]

export interface Pair {
  readonly real: LedgerConnection
  readonly fake: LedgerConnection
  readonly tables: FakeTables
  readonly sql: (text: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>
}

const ends: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const end of ends) await end()
})

/** Both hold four households, each with a head's, a member's and an old card. */
export async function openPair(): Promise<Pair> {
  const url = await createDatabase()
  const pool = new Pool({ connectionString: url, max: 1 })
  pool.on('error', () => undefined)
  const database = new FakePostgres()
  const { tables } = database
  const now = `${DAY}T10:00:00.000Z`
  for (const terminal of simulatedTerminals) tables.terminals.set(terminal.terminalId, terminal)
  for (const household of HOUSEHOLDS) {
    openHousehold(tables, config, { household, members: 4, cash: 50_000, loaves: 100, ration: 9000, points: 2000 }, MONTH, now)
    const [head] = cardsOf(config, household)
    const card = tables.cards.get(head?.token ?? '')
    if (card === undefined) continue
    const token = `old-${household}`
    tables.cards.set(token, { ...card, token, role: 'old', personId: null, masked: '981809******0000', pinReference: null })
  }
  const sql: Pair['sql'] = async (text, values = []) => (await pool.query<Record<string, unknown>>(text, [...values])).rows
  await copyInto(sql, tables)
  const connect = async (openSession?: OpenSession): Promise<LedgerConnection> => {
    const connection = new LedgerConnection({
      ...{ url, statementMs: 10_000, reconnectMs: 50, clock: systemClock, log: silentLogger, name: 'contract' },
      ...(openSession === undefined ? {} : { openSession }),
    })
    await connection.open()
    ends.push(() => connection.close())
    return connection
  }
  ends.push(() => pool.end())
  const simulated: OpenSession = async () => ({
    query: async ({ name }, values) => database.execute(name, values) as never,
    end: async () => {},
    cut: () => {},
  })
  return { real: await connect(), fake: await connect(simulated), tables, sql }
}

async function copyInto(sql: Pair['sql'], tables: FakeTables): Promise<void> {
  await sql(`SELECT ensure_partitions('2026-10-01', 4)`)
  const insert = async (into: string, values: readonly unknown[]): Promise<void> => {
    await sql(`INSERT INTO ${into} VALUES (${values.map((_, index) => `$${index + 1}`).join(', ')})`, values)
  }
  for (const row of tables.households.values())
    await insert('household (shard, id, governorate, ration_members, bread_members)', [
      0,
      row.id,
      row.governorate,
      row.rationMembers,
      row.breadMembers,
    ])
  for (const row of tables.persons.values())
    await insert('person (shard, id, household_id, birth_date, head)', [
      0,
      row.id,
      row.householdId,
      '1980-01-01',
      row.id % 100 === 1,
    ])
  for (const row of tables.purses.values())
    await insert('purse (shard, id, kind, unit, household_id, balance, version, person_id, cycle, members)', [
      ...[0, row.id, row.kind, row.unit, row.householdId, row.balance, row.version, row.personId, row.cycle, row.members],
    ])
  for (const row of tables.cards.values())
    await insert('card (shard, token, masked, household_id, role, person_id, state, expiry, pin_reference)', [
      ...[0, row.token, row.masked, row.householdId, row.role, row.personId, row.state, row.expiry, row.pinReference],
    ])
  for (const row of tables.journal)
    await insert(
      '"authorization" (purse_id, purse_version, requested, approved, available_after, held_after, decided_at, key_date, shard, mti, kind, key, response_code, cycle)',
      [
        ...[
          row.purseId,
          row.purseVersion,
          row.requested,
          row.approved,
          row.availableAfter,
          row.heldAfter,
          row.decidedAt,
          row.keyDate,
        ],
        ...[0, 0, row.kind, row.key, row.responseCode, row.cycle],
      ],
    )
  for (const terminal of tables.terminals.values()) {
    const { merchantId, acceptorId, category, governorate } = terminal
    await sql(
      `INSERT INTO merchant (id, acceptor_id, name, category, governorate) VALUES ($1, $2, 'Shop', $3, $4) ON CONFLICT DO NOTHING`,
      [merchantId, acceptorId, category, governorate],
    )
    await insert('terminal (id, terminal_id, merchant_id, class, state, wallet, offline)', [
      ...[terminal.id, terminal.terminalId, merchantId, terminal.class, terminal.state, terminal.wallet, terminal.offline],
    ])
  }
}

const COMMIT_BATCH = {
  name: 'commit_batch',
  text: `SELECT * FROM commit_batch(${Array.from({ length: commitParameterCount() }, (_, i) => `$${i + 1}`).join(',')})`,
}

/** @returns what both said, each column's values */
export async function commitBoth(
  { real, fake }: Pair,
  nowMs: number,
  items: readonly CommitItem[],
): Promise<{ real: Record<string, unknown>; fake: Record<string, unknown> }> {
  const parameters = commitParameters(0, nowMs, items)
  const [ofReal, ofFake] = await Promise.all([real.run(COMMIT_BATCH, parameters), fake.run(COMMIT_BATCH, parameters)])
  return { real: said(ofReal.rows[0] ?? {}), fake: said(ofFake.rows[0] ?? {}) }
}

/** A column that no item of the batch has is null or empty. */
function said(row: Record<string, unknown>): Record<string, unknown> {
  const optional = (text: unknown): unknown => (typeof text === 'string' && /^,*$/.test(text) ? null : text)
  return { ...row, tries: optional(row['tries']), second_version: optional(row['second_version']) }
}

/** All rows that a batch can change, of both, in one form. */
export async function contents({ sql, tables }: Pair): Promise<{ real: unknown; fake: unknown }> {
  const numbers = (row: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [
        name,
        typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value,
      ]),
    )
  const all = async (text: string): Promise<unknown> => (await sql(text)).map(numbers)
  const real = {
    purses:
      await all(`SELECT id, balance, held, version, gate, day::text, spent_amount, spent_count, withdrawn_amount, withdrawn_count,
      cycle::text, members, marks, items FROM purse ORDER BY id`),
    cards:
      await all(`SELECT token, state, version, fingerprint_mismatches, retired_at IS NOT NULL AS retired, pin_reference, pin_tries,
      atc_max, atc_seen::text, issuer_script FROM card ORDER BY token COLLATE "C"`),
    decisions:
      await all(`SELECT key, key_date::text, mti, kind, body, response_code, reason, approved, requested, purse_id, purse_version,
      available_after, held_after, from_suspense, quantity, cycle::text, marks, items, second_purse_id, second_version,
      second_available_after, original_key FROM "authorization" ORDER BY key COLLATE "C", key_date`),
    transfers:
      await all(`SELECT purse_id, purse_version, debit_code, debit_owner, credit_code, credit_owner, unit, amount FROM transfer
      ORDER BY purse_id, purse_version, ordinal`),
    holds: await all(`SELECT key, purse_id, amount, remaining FROM hold ORDER BY key COLLATE "C", key_date`),
  }
  const by = <T>(rows: Iterable<T>, name: (row: T) => string | number): T[] =>
    [...rows].sort((a, b) => (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0))
  // What the households open with is copied without its transfers.
  const opening = new Set(tables.transfers.slice(0, OPENING_TRANSFERS))
  const fake = {
    purses: by(tables.purses.values(), ({ id }) => id).map((row) =>
      numbers({
        ...{ id: row.id, balance: row.balance, held: row.held, version: row.version, gate: row.gate, day: row.day },
        ...{ spent_amount: row.spentAmount, spent_count: row.spentCount, withdrawn_amount: row.withdrawnAmount },
        ...{ withdrawn_count: row.withdrawnCount, cycle: row.cycle, members: row.members, marks: row.marks, items: row.items },
      }),
    ),
    cards: by(tables.cards.values(), ({ token }) => token).map((row) =>
      numbers({
        ...{ token: row.token, state: row.state, version: row.version, fingerprint_mismatches: row.fingerprintMismatches },
        ...{ retired: row.retiredAt !== null, pin_reference: row.pinReference, pin_tries: row.pinTries, atc_max: row.atcMax },
        ...{ atc_seen: row.atcSeen.toString(), issuer_script: row.issuerScript },
      }),
    ),
    decisions: by(tables.journal, ({ key, keyDate }) => `${key} ${keyDate}`).map((row) =>
      numbers({
        ...{ key: row.key, key_date: row.keyDate, mti: row.mti, kind: row.kind, body: row.body, response_code: row.responseCode },
        ...{ reason: row.reason, approved: row.approved, requested: row.requested, purse_id: row.purseId },
        ...{ purse_version: row.purseVersion, available_after: row.availableAfter, held_after: row.heldAfter },
        ...{ from_suspense: row.fromSuspense, quantity: row.quantity, cycle: row.cycle, marks: row.marks, items: row.items },
        ...{ second_purse_id: row.secondPurseId, second_version: row.secondVersion },
        ...{ second_available_after: row.secondAvailableAfter, original_key: row.originalKey },
      }),
    ),
    transfers: by(
      tables.transfers.filter((row) => !opening.has(row)),
      (row) => row.purseId * 1e9 + row.purseVersion * 1e4 + row.ordinal,
    ).map((row) => ({
      ...{ purse_id: row.purseId, purse_version: row.purseVersion, debit_code: row.debitCode, debit_owner: row.debitOwner },
      ...{ credit_code: row.creditCode, credit_owner: row.creditOwner, unit: row.unit, amount: row.amount },
    })),
    holds: by(tables.holds.values(), ({ key, keyDate }) => `${key} ${keyDate}`).map((row) => ({
      ...{ key: row.key, purse_id: row.purseId, amount: row.amount, remaining: row.remaining },
    })),
  }
  return { real, fake }
}

const OPENING_TRANSFERS = HOUSEHOLDS.length * 5

/** Makes batches as the switch may send them: one item a purse, a card and a key; what is in them is random. */
export class RandomBatches {
  readonly #random: Random
  readonly #tables: FakeTables
  #keys = 0

  constructor(random: Random, tables: FakeTables) {
    this.#random = random
    this.#tables = tables
  }

  next(): CommitItem[] {
    const used = new Set<string | number>()
    const items: CommitItem[] = []
    for (let left = this.#random.between(1, 7); left > 0; left--) {
      const item = this.item()
      const { movement, second, cardUpdate, verification, cardToken } = item
      const raised = [...(cardUpdate?.raise ?? []), ...(verification?.raise ?? [])]
      const names = [item.key, movement?.purseId, second?.purseId, cardToken, cardUpdate?.token, ...raised].filter(
        (name) => name !== undefined,
      )
      if (names.some((name) => name !== null && used.has(name)) || new Set(names).size < names.length) continue
      for (const name of names) if (name !== null) used.add(name)
      items.push(item)
    }
    if (items.length === 0) return this.next()
    return items.sort((a, b) => (a.keyDate + a.key < b.keyDate + b.key ? -1 : 1))
  }

  item(): CommitItem {
    const random = this.#random
    const some = <T>(chance: number, value: () => T): T | null => (random.chance(chance) ? value() : null)
    const household = random.pick(HOUSEHOLDS)
    const card = random.pick([...cardsOf(config, household).map(({ token }) => token), `old-${household}`])
    const purse = random.chance(0.97) ? random.pick([...this.#tables.pursesOf(household)]) : undefined
    const purseId = purse?.id ?? 999
    const earlier = random.pick(this.#tables.journal)
    const original = some(0.3, () => {
      const linked = this.#tables.linkedTo(purseId, earlier.keyDate, earlier.key).length
      return { key: earlier.key, keyDate: earlier.keyDate, linked: random.chance(0.8) ? linked : linked + 1 }
    })
    const hold = original === null ? undefined : this.#tables.holds.get(rowName(original.keyDate, original.key))
    const delta = random.chance(0.9) ? random.between(-400, 400) : random.between(-60_000, 0)
    const moves = random.chance(0.85)
    const posts = moves && random.chance(0.8)
    const items = some(0.15, () => Array.from({ length: 3 }, () => random.between(-1, 2)))
    const other = some(posts ? 0.15 : 0, () => random.pick([...this.#tables.pursesOf(household)]))
    const second = other === null || other.id === purseId ? null : other
    const secondDelta = random.pick([0, -50, 70, -3000])
    const marks = (): number => 1 << random.between(0, 30)
    const transfer = (second: boolean): CommitItem['transfers'][number] => ({
      ...{ debitCode: 2000, debitOwner: purseId, creditCode: 2220, creditOwner: 7, unit: 1, amount: random.between(1, 900) },
      ...(second ? { second: true as const } : {}),
    })
    return {
      ...NOTHING_TO_POST,
      key: random.chance(0.12) ? earlier.key : `contract|${++this.#keys}`,
      keyDate: random.chance(0.1) ? '2026-12-01' : DAY,
      mti: random.pick([200, 220, 400]),
      kind: random.pick([1, 2, 3, 4, 8, 10, 12, 13, 17]),
      body: some(0.9, () => String(random.between(1, 9))),
      cardToken: card,
      terminalId: 'POS"00\\1',
      merchantId: 1,
      rrn: `rrn${random.between(1, 4)}`,
      requested: 100,
      approved: random.between(1, 300),
      responseCode: random.pick(['00', '10', '51']),
      reason: some(0.3, () => 'a, reason'),
      approvalCode: random.pick(['AAAAAA', 'BBBBBB']),
      movement: moves
        ? {
            ...movementOf(
              purseId,
              some(0.7, () => (purse?.gate ?? 1) + (random.chance(0.1) ? 1 : 0)),
              delta,
            ),
            heldDelta: random.pick([0, 0, 0, 10, -10]),
            balanceMax: some(0.2, () => random.between(40_000, 60_000)),
            counter: some(0.6, () => ({
              group: random.pick(['spending', 'withdrawal'] as const),
              day: random.pick(['2026-11-21', DAY, '2026-11-23']),
              amount: random.between(-200, 400),
              count: random.pick([-1, 0, 1]),
              amountMax: some(0.6, () => random.between(500, 3000)),
              countMax: some(0.6, () => random.between(2, 8)),
            })),
            cycle: some(0.2, () => random.pick([MONTH, '2026-12-01'])),
            setMarks: some(0.3, marks) ?? 0,
            clearMarks: some(0.15, marks) ?? 0,
            items: items === null ? null : { added: items, max: [2, 3, 40] },
          }
        : null,
      original,
      transfers: posts ? [transfer(false), ...(second !== null && secondDelta !== 0 ? [transfer(true)] : [])] : [],
      fromSuspense: some(0.1, () => random.between(1, 20)),
      holdExpiresAt: some(posts ? 0.2 : 0, () => `2026-11-2${random.between(1, 9)}T00:00:00.000Z`),
      holdUsed: hold === undefined ? 0 : random.between(0, hold.remaining),
      second: second === null ? null : { purseId: second.id, gate: some(0.5, () => second.gate), delta: secondDelta },
      cardUpdate: some(0.15, () => ({
        change: random.pick(['retire', 'mismatch', 'match'] as const),
        token: random.pick([card, `old-${household}`]) as CardToken,
        tries: random.pick([0, 1, 2]),
        raise: [household * 100 + 92],
        ...{ triesResponse: '62', triesReason: 'suspended' },
      })),
      quantity: some(0.3, () => random.between(0, 20)),
      verification: some(0.3, () => {
        const row = this.#tables.cards.get(card)
        const pin = random.pick(['wrong', 'right', 'checked', null] as const)
        const atc = random.chance(0.5) || pin === null ? Math.max(1, (row?.atcMax ?? 0) + random.between(-3, 70)) : null
        return {
          ...{ atc, pin, pinTriesMax: 3, raise: [household * 100 + 93] },
          pinReference: pin === 'right' ? some(0.3, () => String(random.between(1000, 9999))) : null,
          checkedReference: random.chance(0.9) ? (row?.pinReference ?? null) : '0000',
          scriptSent: atc !== null && random.chance(0.5),
        }
      }),
    }
  }
}
