/** What the desk posts and writes: fees, adjustments, lives of cards, the audit trail; and somebody who changes it behind the switch's back. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CardToken } from '../../../src/card.ts'
import { systemClock } from '../../../src/clock.ts'
import { loadConfig } from '../../../src/config.ts'
import { lockCard } from '../../../src/ledger/programme/cards.ts'
import { Desk, done, type Outcome, type SqlTransaction } from '../../../src/ledger/programme/desk.ts'
import { silentLogger } from '../../../src/log.ts'
import { adjustmentKind } from '../../../src/programme/adjustments.ts'
import type { CardEvent } from '../../../src/programme/cardLife.ts'
import { changeCard } from '../../../src/programme/changeCard.ts'
import { takeFee, type FeePayment } from '../../../src/programme/fees.ts'
import { createLedger, credit, purchase, type TestLedger } from '../../support/commitItems.ts'
import { complaints, tamperingWith, type TamperCase, type Tampering } from './tampering.ts'

const HOUSEHOLD = 1
const PERSON = 101
const RATION = 192

let ledger: TestLedger
let desk: Desk
let books: Tampering

beforeAll(async () => {
  ledger = await createLedger()
  desk = new Desk({ url: ledger.url, shard: 0, connections: 1, statementMs: 10_000, clock: systemClock, log: silentLogger })
  await ledger.sql(`
    INSERT INTO household (shard, id, governorate) VALUES (0, ${HOUSEHOLD}, 3);
    INSERT INTO person (shard, id, household_id, birth_date, head) VALUES (0, ${PERSON}, ${HOUSEHOLD}, '1980-05-17', true);
    INSERT INTO purse (shard, id, kind, unit, household_id, person_id, cycle)
    VALUES (0, ${PERSON}, 1, 1, ${HOUSEHOLD}, ${PERSON}, NULL), (0, ${RATION}, 4, 3, ${HOUSEHOLD}, NULL, NULL)`)
  expect(await ledger.commit([credit(PERSON, 100_000, { key: 'opening', cardToken: null })])).toEqual([0])
  // One on its way, one that was handed over in its place later, one withdrawn, one not collected in time.
  await newCard('collected', 'cash', 'handed_over')
  await newCard('withdrawn', 'counter', 'order_withdrawn')
  await newCard('given-back', 'cash', 'order_withdrawn')
  await newCard('destroyed', 'counter', 'diwan_month_passed')
  await newCard('on-the-way', 'counter')
  expect(await ledger.commit([purchase(PERSON, 700, { key: 'buy', cardToken: 'collected', movement: { gate: null } })])).toEqual([
    0,
  ])
  const { programme } = loadConfig({ DATABASE_URL: ledger.url, REDIS_URL: 'redis://127.0.0.1:1' })
  for (const units of [500, -200]) {
    const body = { householdId: HOUSEHOLD, purse: 'points', units }
    await run((tx) => adjustmentKind(programme).execute(tx, body, { name: 'checker', roles: [] }))
  }
  books = await tamperingWith(ledger)
})

afterEach(async () => {
  await books.restore()
})

afterAll(async () => {
  await desk.close()
})

async function run<T>(work: (tx: SqlTransaction) => Promise<Outcome<T>>): Promise<void> {
  expect(await desk.run({ actor: { name: 'tester', roles: ['tester'] }, action: 'test', subject: 'test', work })).toMatchObject({
    ok: true,
  })
}

/** Ordered, its fee paid, and what came of it. */
async function newCard(token: string, payment: FeePayment, event?: CardEvent): Promise<void> {
  const state = event === 'diwan_month_passed' ? 'AWAITING_COLLECTION_DIWAN' : 'AWAITING_COLLECTION'
  await ledger.sql(
    `INSERT INTO card (shard, token, masked, household_id, person_id, role, state, expiry) VALUES (0, $1, '****', ${HOUSEHOLD}, ${PERSON}, 'head', $2, '2912')`,
    [token, state],
  )
  await ledger.sql('INSERT INTO card_life (shard, token, ordered_at, told_at) VALUES (0, $1, now(), now())', [token])
  await run(async (tx) => {
    await lockCard(tx, token)
    return takeFee(tx, { token: token as CardToken, personId: PERSON, householdId: HOUSEHOLD, amount: 300, payment })
  })
  if (event === undefined) return
  const life = event === 'handed_over' ? { handed_over_at: new Date().toISOString() } : {}
  await run(async (tx) => {
    const changed = await changeCard(tx, { token, event, life })
    return changed.ok ? done(null) : changed
  })
}

/** The transfers of what was posted for a card. */
const posted = (kind: number, token: string): string =>
  `purse_id = ${String(PERSON)} AND purse_version = (SELECT purse_version FROM "authorization" WHERE kind = ${String(kind)} AND card_token = '${token}')`

it('proves what the desk posted, and what it wrote', async () => {
  const report = await books.prove()
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
  expect(Object.fromEntries(report.checks.map((check) => [check.name, check.checked]))).toMatchObject({
    postings: 13,
    follow_ups: 4,
    card_lives: 6,
    audit_trail: 12,
  })
  expect(await ledger.sql('SELECT balance::int FROM purse ORDER BY id')).toEqual([{ balance: 99_000 }, { balance: 300 }])
})

it('what becomes of a fee follows from what becomes of its card', async () => {
  const rows = await ledger.sql<{ posted: string }>(
    `SELECT a.card_token || ': ' || string_agg(t.debit_code || ' ' || t.credit_code, ', ' ORDER BY a.purse_version) AS posted
    FROM "authorization" a JOIN transfer t ON t.key_date = a.key_date AND t.purse_id = a.purse_id AND t.purse_version = a.purse_version
    WHERE a.kind BETWEEN 19 AND 21 GROUP BY a.card_token ORDER BY 1`,
  )
  expect(rows.map(({ posted: each }) => each)).toEqual([
    'collected: 2000 2300, 2300 4000',
    'destroyed: 1000 2300, 2300 4000',
    'given-back: 2000 2300, 2300 2000',
    'on-the-way: 1000 2300',
    'withdrawn: 1000 2300, 2300 1000',
  ])
})

const CASES: readonly TamperCase[] = [
  {
    check: 'follow_ups',
    what: 'a fee is given back that was earned too',
    sql: () =>
      `UPDATE "authorization" SET original_key = (SELECT key FROM "authorization" WHERE kind = 19 AND card_token = 'collected') WHERE kind = 20 AND card_token = 'given-back'`,
    wrong: /more is given back than was taken/,
  },
  {
    check: 'follow_ups',
    what: 'a fee from the counter is given back to the purse',
    sql: () => `UPDATE transfer SET credit_code = 2000, credit_owner = ${String(PERSON)} WHERE ${posted(20, 'withdrawn')}`,
    wrong: /another account than the original/,
  },
  {
    check: 'postings',
    what: 'a fee is earned before it is deferred',
    sql: () => `UPDATE transfer SET credit_code = 4000 WHERE ${posted(19, 'on-the-way')}`,
    wrong: /accounts that do not fit the kind/,
  },
  {
    check: 'postings',
    what: 'an adjustment is of more than was decided',
    sql: () => `UPDATE transfer SET amount = 501 WHERE purse_id = ${String(RATION)} AND amount = 500`,
    wrong: /what was put right is not what was decided/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'a purchase pays a fee',
    sql: () => `UPDATE transfer SET credit_code = 2300, credit_owner = 0 WHERE amount = 700`,
    wrong: /cash pays for something that is not its own/,
  },
  {
    check: 'purse_pays_its_own',
    what: 'an entitlement is taken away by something else than an adjustment',
    sql: () => `UPDATE "authorization" SET kind = 13 WHERE kind = 22`,
    wrong: /an entitlement pays for something that is not its own/,
  },
  {
    check: 'transfer_accounts',
    what: 'fees are deferred for somebody',
    sql: () => `UPDATE transfer SET credit_owner = 7 WHERE ${posted(19, 'on-the-way')}`,
    wrong: /no such credit account/,
  },
  {
    check: 'transfer_accounts',
    what: 'a fee is of points',
    sql: () => `UPDATE transfer SET unit = 3 WHERE ${posted(19, 'on-the-way')}`,
    wrong: /money in another unit/,
  },
  {
    check: 'card_lives',
    what: 'a deferred fee is forgotten',
    sql: () => `UPDATE card_life SET fee_key = NULL WHERE token = 'on-the-way'`,
    wrong: /the fees that are deferred/,
  },
  {
    check: 'card_lives',
    what: 'a card that was withdrawn is active',
    sql: () => `UPDATE card SET state = 'ACTIVE' WHERE token = 'withdrawn'`,
    wrong: /it has ended, and goes on/,
  },
  {
    check: 'card_lives',
    what: 'a card is destroyed, and nobody knows when',
    sql: () => `UPDATE card_life SET ended_at = NULL WHERE token = 'destroyed'`,
    wrong: /nobody knows when/,
  },
  {
    check: 'card_lives',
    what: 'a card is in use that was never handed over',
    sql: () => `UPDATE card_life SET handed_over_at = NULL WHERE token = 'collected'`,
    wrong: /never handed over/,
  },
  {
    check: 'card_lives',
    what: 'a card was replaced by none',
    sql: () => `UPDATE card SET state = 'REPLACED' WHERE token = 'withdrawn'; UPDATE card_life SET handed_over_at = NULL`,
    wrong: /replaced by no card/,
  },
  {
    check: 'audit_trail',
    what: 'somebody else did it',
    sql: () => `UPDATE audit_record SET actor = 'nobody' WHERE number = 2`,
    wrong: /not what its hash was made of/,
  },
  {
    check: 'audit_trail',
    what: 'a record is gone from the middle',
    sql: () => `DELETE FROM audit_record WHERE number = 3`,
    wrong: /records are missing/,
  },
  {
    check: 'audit_trail',
    what: 'the last record is gone',
    sql: () => `DELETE FROM audit_record WHERE number = (SELECT max(number) FROM audit_record)`,
    wrong: /the end of the chain/,
  },
  {
    check: 'audit_trail',
    what: 'all records are gone',
    sql: () => `DELETE FROM audit_record`,
    wrong: /the end of the chain/,
  },
]

describe('finds out when', () => {
  it.each(CASES.map((one) => [one.what, one.check, one] as const))('%s (%s)', async (_what, check, { sql, wrong }) => {
    await books.tamper(sql())
    expect(complaints(await books.prove(), check)).toContainEqual(expect.stringMatching(wrong))
  })

  it('the audit trail could be changed', async () => {
    await expect(ledger.sql(`UPDATE audit_record SET actor = 'nobody'`)).rejects.toThrow(/append only/)
    await ledger.sql('ALTER TABLE audit_record DISABLE TRIGGER append_only')
    const report = await books.prove()
    await ledger.sql('ALTER TABLE audit_record ENABLE TRIGGER append_only')
    expect(complaints(report, 'append_only')).toEqual(['its append-only trigger is switched off'])
  })
})
