import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { readFileSync } from 'node:fs'
import { systemClock } from '../../src/clock.ts'
import { audit, CannotAudit } from '../../src/ledger/audit.ts'
import { ACCOUNT_CODE } from '../../src/purse/chart.ts'
import {
  authorization,
  completion,
  createLedger,
  credit,
  decline,
  lentBySuspense,
  purchase,
  refund,
  tombstone,
  TODAY,
  type TestLedger,
} from '../support/commitItems.ts'
import { PROGRAMME } from '../support/households.ts'
import { complaints, tamperingWith, type TamperCase, type Tampering } from './audit/tampering.ts'

let ledger: TestLedger
/** The purse that everything is posted to, and one with nothing but its opening. */
let id: number
let other: number

let books: Tampering

beforeAll(async () => {
  ledger = await createLedger()
  id = await ledger.openPurse(10_000)
  other = await ledger.openPurse(500)
  const [buy, held] = [purchase(id, 700, { key: 'buy' }), authorization(id, 400, 3_600_000, { key: 'held' })]
  const items = [
    buy,
    refund(buy, 200, 0, { key: 'refund' }),
    held,
    completion(held, 300, { key: 'complete' }),
    authorization(id, 50, 3_600_000, { key: 'open' }),
    credit(id, 1000, { key: 'credit' }),
    { ...lentBySuspense(id, 90, 40), key: 'lent' },
    decline({ key: 'declined' }),
    tombstone('void'),
  ]
  for (const item of items) expect(await ledger.commit([item])).toEqual([0])
  books = await tamperingWith(ledger)
})

afterEach(async () => {
  await books.restore()
})

const of = (key: string): string =>
  `purse_id = ${id} AND purse_version = (SELECT purse_version FROM "authorization" WHERE key = '${key}')`

it('proves a ledger in which nothing is wrong, and says how much it looked at', async () => {
  const report = await books.prove()
  expect(report.checks.filter((check) => !check.ok)).toEqual([])
  expect(report.ok).toBe(true)
  expect(Object.fromEntries(report.checks.map((check) => [check.name, check.checked]))).toMatchObject({
    transfer_accounts: 11,
    purse_balances: 2,
    purse_versions: 2,
    balance_history: 9,
    one_decision_a_key: 11,
    decisions: 11,
    postings: 9,
    follow_ups: 2,
    holds: 2,
    held_by_holds: 1,
  })
})

it('tells what suspense has lent, and does not judge it', async () => {
  const suspense = (await books.prove()).checks.find((check) => check.name === 'suspense')
  expect(suspense).toMatchObject({ ok: true, failures: 0, examples: [{ unit: 1, lent: 50, come_back: 0, open: 50 }] })
})

const CASES: readonly TamperCase[] = [
  {
    check: 'debits_equal_credits',
    what: 'a balance is raised together with nothing',
    sql: () => `UPDATE purse SET balance = balance + 1 WHERE id = ${id}`,
    wrong: /hold something else than the other accounts have given/,
  },
  {
    check: 'debits_equal_credits',
    what: 'a credit account that there is not swallows an amount',
    sql: () => `UPDATE transfer SET credit_code = 3999 WHERE ${of('buy')}`,
    wrong: /debits and credits differ/,
  },
  {
    check: 'debits_equal_credits',
    what: 'an amount is of a unit that there is not',
    sql: () => `UPDATE transfer SET unit = 9 WHERE ${of('buy')}`,
    wrong: /no such unit/,
  },
  {
    check: 'transfer_accounts',
    what: 'a transfer credits a merchant that there is not',
    sql: () => `UPDATE transfer SET credit_owner = 77 WHERE ${of('buy')}`,
    wrong: /no such credit account/,
  },
  {
    check: 'transfer_accounts',
    what: 'a posting takes from the purse of somebody else',
    sql: () => `UPDATE transfer SET debit_owner = ${other} WHERE ${of('buy')}`,
    wrong: /no such debit account/,
  },
  {
    check: 'transfer_accounts',
    what: 'debit and credit are one account',
    sql: () => `UPDATE transfer SET credit_code = debit_code, credit_owner = debit_owner WHERE ${of('buy')}`,
    wrong: /the same account/,
  },
  {
    check: 'transfer_accounts',
    what: 'the unit is not that of the purse',
    sql: () => `UPDATE transfer SET unit = 2 WHERE ${of('buy')}`,
    wrong: /unit is not the purse's/,
  },
  {
    check: 'transfer_accounts',
    what: 'the purse is gone',
    sql: () => `DELETE FROM purse WHERE id = ${other}`,
    wrong: /no such purse/,
  },
  {
    check: 'purse_balances',
    what: 'money moves from one purse to another',
    sql: () => `UPDATE purse SET balance = balance + CASE WHEN id = ${id} THEN 100 ELSE -100 END`,
    wrong: /the balance is not the sum/,
  },
  {
    check: 'purse_balances',
    what: 'what is held becomes what can be spent',
    sql: () => `UPDATE purse SET balance = balance + 10, held = held - 10 WHERE id = ${id}`,
    wrong: /is not the sum/,
  },
  {
    check: 'purse_versions',
    what: 'the purse has another version',
    sql: () => `UPDATE purse SET version = version + 1 WHERE id = ${id}`,
    wrong: /missing or left over/,
  },
  {
    check: 'purse_versions',
    what: 'a posting is taken out',
    sql: () => `DELETE FROM "authorization" WHERE key = 'credit'`,
    wrong: /missing or left over/,
  },
  {
    check: 'purse_versions',
    what: 'two postings have one version',
    sql: () => `UPDATE "authorization" SET purse_version = 2 WHERE key = 'credit'`,
    wrong: /there twice/,
  },
  {
    check: 'balance_history',
    what: 'an answer told another balance',
    sql: () => `UPDATE "authorization" SET available_after = available_after + 1 WHERE key = 'buy'`,
    wrong: /the balance after the posting/,
  },
  {
    check: 'balance_history',
    what: 'an answer told another amount held',
    sql: () => `UPDATE "authorization" SET held_after = 0 WHERE key = 'held'`,
    wrong: /what was held after the posting/,
  },
  {
    check: 'balance_history',
    what: 'a purse was overdrawn for a while',
    sql: () => `UPDATE "authorization" SET available_after = -1 WHERE key = 'buy'`,
    wrong: /overdrawn/,
  },
  {
    check: 'one_decision_a_key',
    what: 'a key was decided under two dates, in two partitions',
    sql: () => copyOf('declined', `'declined'`, 40),
    wrong: /more than once/,
  },
  {
    check: 'one_decision_a_key',
    what: 'a key was decided once a year, and once more',
    sql: () => `${copyOf('declined', `'declined'`, 366)}; ${copyOf('declined', `'declined'`, 1)}`,
    wrong: /more than once/,
  },
  {
    check: 'decisions',
    what: 'a decline has a posting',
    sql: () => `UPDATE "authorization" SET response_code = '51' WHERE key = 'buy'`,
    wrong: /a decline has posted/,
  },
  {
    check: 'decisions',
    what: 'a voided key has a posting',
    sql: () => `UPDATE "authorization" SET kind = 0, response_code = '91' WHERE key = 'buy'`,
    wrong: /a decline has posted/,
  },
  {
    check: 'decisions',
    what: 'a decline is turned into an approval',
    sql: () => `UPDATE "authorization" SET response_code = '00', approved = requested WHERE key = 'declined'`,
    wrong: /approved, and nothing posted/,
  },
  {
    check: 'decisions',
    what: 'more is approved than was requested',
    sql: () => `UPDATE "authorization" SET requested = 1 WHERE key = 'buy'`,
    wrong: /not what was requested/,
  },
  {
    check: 'decisions',
    what: 'a partial approval is of the whole',
    sql: () => `UPDATE "authorization" SET response_code = '10' WHERE key = 'buy'`,
    wrong: /not a partial approval/,
  },
  {
    check: 'postings',
    what: 'an amount is changed on its way to the merchant',
    sql: () => `UPDATE transfer SET amount = amount - 1 WHERE ${of('buy')}`,
    wrong: /do not come to what was approved/,
  },
  {
    check: 'postings',
    what: 'the transfers of an approval are gone',
    sql: () => `DELETE FROM transfer WHERE ${of('buy')}`,
    wrong: /there are no transfers/,
  },
  {
    check: 'postings',
    what: 'a transfer belongs to nothing',
    sql: () => `INSERT INTO transfer SELECT purse_id, 99, event_number, debit_owner, credit_owner, amount, key_date, shard, 1, debit_code, credit_code, unit
                FROM transfer WHERE ${of('buy')}`,
    wrong: /no approval has posted/,
  },
  {
    check: 'postings',
    what: 'a purchase is paid by the bank',
    sql: () => `UPDATE transfer SET debit_code = 1000, debit_owner = 0 WHERE ${of('buy')}`,
    wrong: /do not fit the kind/,
  },
  {
    check: 'postings',
    what: 'suspense lends without the decision saying so',
    sql: () => `UPDATE "authorization" SET from_suspense = NULL WHERE key = 'lent'`,
    wrong: /suspense was moved/,
  },
  {
    check: 'follow_ups',
    what: 'more is refunded than was paid',
    sql: () => `UPDATE "authorization" SET approved = 701 WHERE key = 'refund'`,
    wrong: /more is given back/,
  },
  {
    check: 'follow_ups',
    what: 'an authorization is completed twice',
    sql: () => copyOf('complete', `'complete again'`, 0),
    wrong: /completed more than once/,
  },
  {
    check: 'follow_ups',
    what: 'the original is not there',
    sql: () => `UPDATE "authorization" SET original_key = 'nothing' WHERE key = 'refund'`,
    wrong: /original is not there/,
  },
  {
    check: 'follow_ups',
    what: 'the original was declined',
    sql: () => `UPDATE "authorization" SET original_key = 'declined' WHERE key = 'refund'`,
    wrong: /not an approval/,
  },
  {
    check: 'follow_ups',
    what: 'the original is of another purse',
    sql: () => `UPDATE "authorization" SET purse_id = ${other} WHERE key = 'buy'`,
    wrong: /another purse's/,
  },
  {
    check: 'follow_ups',
    what: 'a refund follows a credit',
    sql: () => `UPDATE "authorization" SET original_key = 'credit' WHERE key = 'refund'`,
    wrong: /may not/,
  },
  {
    check: 'follow_ups',
    what: 'another merchant pays the refund',
    sql: () => `UPDATE transfer SET debit_owner = 2 WHERE ${of('refund')}`,
    wrong: /another account than the original went to/,
  },
  {
    check: 'follow_ups',
    what: 'suspense gets back more than it lent',
    sql: () => `UPDATE "authorization" SET from_suspense = 10 WHERE key = 'refund'`,
    wrong: /to suspense than it lent/,
  },
  {
    check: 'holds',
    what: 'a hold is filled again after its completion',
    sql: () => `UPDATE hold SET remaining = 400 WHERE key = 'held'`,
    wrong: /not what was used or released/,
  },
  {
    check: 'holds',
    what: 'an authorization has lost its hold',
    sql: () => `DELETE FROM hold WHERE key = 'open'`,
    wrong: /without its hold/,
  },
  {
    check: 'holds',
    what: 'a hold has no authorization',
    sql: () => `UPDATE hold SET key = 'nobody' WHERE key = 'open'`,
    wrong: /without its/,
  },
  {
    check: 'holds',
    what: 'a hold is of another amount',
    sql: () => `UPDATE hold SET amount = 60, remaining = 60 WHERE key = 'open'`,
    wrong: /not the authorization's purse or amount/,
  },
  {
    check: 'held_by_holds',
    what: 'holds do not come to what is held',
    sql: () => `UPDATE hold SET remaining = 49 WHERE key = 'open'`,
    wrong: /not what is left of the holds/,
  },
  {
    check: 'held_by_holds',
    what: 'a hold is of a purse that there is not',
    sql: () => `UPDATE hold SET purse_id = 0 WHERE key = 'open'`,
    wrong: /what is held|purse that there is not/,
  },
  {
    check: 'day_counters',
    what: 'a counter of the day is below nothing',
    sql: () => `UPDATE purse SET withdrawn_count = -1 WHERE id = ${id}`,
    wrong: /negative/,
  },
]

/** A second row like that of a key, `daysBefore` earlier. */
function copyOf(key: string, newKey: string, daysBefore: number): string {
  const columns = `purse_id, NULL::bigint, body, requested, approved, available_after, held_after, from_suspense, merchant_id, decided_at,
    key_date - ${daysBefore}, original_date, shard, mti, kind, ${newKey}, response_code, reason, approval_code, card_token, terminal_id, rrn, original_key`
  return `INSERT INTO "authorization" SELECT ${columns} FROM "authorization" WHERE key = '${key}' AND key_date = '${TODAY}'`
}

describe('finds out when', () => {
  it.each(CASES)('$what ($check)', async ({ check: name, sql, wrong }) => {
    await books.tamper(sql())
    const report = await books.prove()
    expect(report.ok).toBe(false)
    expect(complaints(report, name)).toContainEqual(expect.stringMatching(wrong))
  })

  it('a hold is open although its time and the grace are over (holds)', async () => {
    await books.tamper(`UPDATE hold SET expires_at = now() - interval '10 minutes' WHERE key = 'open'`)
    expect((await books.prove(3_600_000)).ok).toBe(true)
    const report = await books.prove(60_000)
    expect(report.checks.filter((check) => !check.ok)).toMatchObject([
      { name: 'holds', examples: [{ key: 'open', wrong: 'open, and its time is over' }] },
    ])
  })

  const partition = `transfer_${TODAY.slice(0, 4)}${TODAY.slice(5, 7)}`
  it.each([
    [
      'is switched off',
      `ALTER TABLE ${partition} DISABLE TRIGGER append_only`,
      `ALTER TABLE ${partition} ENABLE TRIGGER append_only`,
    ],
    [
      'is gone',
      `DROP TRIGGER append_only ON ${partition}`,
      `CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ${partition} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`,
    ],
    [
      'lets deletions pass',
      `CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE ON ${partition} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`,
      `CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ${partition} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`,
    ],
  ])('the append-only trigger of a partition %s', async (_, change, undo) => {
    await ledger.sql(change)
    const report = await books.prove()
    await ledger.sql(undo)
    expect(report.checks.filter((check) => !check.ok)).toMatchObject([
      { name: 'append_only', failures: 1, examples: [{ relation: partition }] },
    ])
  })
})

it('a key that comes again after a year is no second decision', async () => {
  await books.tamper(copyOf('declined', `'declined'`, 366))
  expect((await books.prove()).ok).toBe(true)
})

it('shows ten examples at most, and counts all', async () => {
  await books.tamper(
    `INSERT INTO "authorization" (requested, approved, decided_at, key_date, shard, mti, kind, key, response_code)
     SELECT 5, 5, now(), '${TODAY}', 0, 200, 1, 'forged|' || n, '00' FROM generate_series(1, 25) n`,
  )
  const check = (await books.prove()).checks.find((candidate) => candidate.name === 'decisions')!
  expect(check).toMatchObject({ checked: 36, failures: 25 })
  expect(check.examples).toHaveLength(10)
})

it('knows every account of the chart and of the programme', () => {
  const { purses, versions } = PROGRAMME
  const ofServices = versions.flatMap(({ services, health }) => [
    ...Object.values(services).flatMap(({ payerAccount, outletAccount, entitlement }) => [
      payerAccount,
      outletAccount,
      ...(entitlement === undefined ? [] : [entitlement.closingAccount]),
    ]),
    health.fundAccount,
    health.clinicAccount,
  ])
  // Those of purses are in the ledger's own table.
  const ofPurses = purses.flatMap(({ account, heldAccount }) => [account, heldAccount])
  const chart = [...Object.values(ACCOUNT_CODE), ...ofServices].filter((code) => !ofPurses.includes(code))
  for (const file of ['transferAccounts', 'trialBalance']) {
    const sql = readFileSync(new URL(`../../src/ledger/audit/${file}.sql`, import.meta.url), 'utf8')
    const codes = [...sql.matchAll(/\b\d{4}\b/g)].map(([code]) => Number(code))
    const ranges = [...sql.matchAll(/(?:BETWEEN |generate_series\()(\d{4})(?: AND |, )(\d{4})/g)].map(
      ([, from, to]) => [Number(from), Number(to)] as const,
    )
    expect(chart.filter((code) => !codes.includes(code) && !ranges.some(([from, to]) => from <= code && code <= to))).toEqual([])
  }
})

it('says in one line when it cannot connect, and when there is no ledger', async () => {
  const options = { holdGraceMs: 0, reservationAgeMs: 0, clock: systemClock }
  const nowhere = await audit({ ...options, databaseUrl: 'postgres://127.0.0.1:1/nowhere' }).catch((error: unknown) => error)
  expect(nowhere).toBeInstanceOf(CannotAudit)
  expect((nowhere as CannotAudit).message).toMatch(/^cannot connect to the database: .*ECONNREFUSED/)
  const url = new URL(ledger.url)
  url.pathname = '/postgres'
  await expect(audit({ ...options, databaseUrl: url.href })).rejects.toThrow('holds no ledger')
})
