import { beforeAll, expect, it } from 'vitest'
import type { AuditReport } from '../../src/ledger/audit.ts'
import { createLedger, purchase, type TestLedger } from '../support/commitItems.ts'
import { runSarf } from './runSarf.ts'

let clean: TestLedger
let wrong: TestLedger
beforeAll(async () => {
  clean = await createLedger()
  wrong = await createLedger()
  for (const ledger of [clean, wrong]) await ledger.commit([purchase(await ledger.openPurse(100), 10)])
  await wrong.sql('UPDATE purse SET balance = balance + 1')
})

it('prints every check with what it looked at, and exits 0 where nothing is wrong', async () => {
  const { code, stdout, stderr } = await runSarf(['audit', '--database', clean.url])
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^ok {6}append_only +\d+ checked\n/)
  expect(stdout).toMatch(/\nok {6}purse_balances +1 checked\n/)
  expect(stdout).toMatch(/\nskipped redis_equals_ledger +no Redis was named\n/)
  expect(stdout).toMatch(/\nThe ledger is proved \(\d+\.\d s\)\n$/)
  expect(code).toBe(0)
})

it('shows what is wrong, and exits 1', async () => {
  const { code, stdout } = await runSarf(['audit', '--database', wrong.url])
  expect(stdout).toMatch(
    /\nFAILED {2}purse_balances +1 of 1 wrong\n +\{.*"wrong":"the balance is not the sum of the transfers".*\}\n/,
  )
  expect(stdout).toMatch(/\n2 of 20 checks failed/)
  expect(code).toBe(1)
})

it('prints one JSON object with --json, and nothing else', async () => {
  const { code, stdout } = await runSarf(['audit', '--json', '--database', wrong.url])
  expect(stdout.split('\n')).toHaveLength(2)
  const report = JSON.parse(stdout) as AuditReport
  expect(Object.keys(report)).toEqual(['ok', 'checks', 'elapsedMs'])
  expect(report.ok).toBe(false)
  expect(report.checks.filter((check) => !check.ok).map((check) => check.name)).toEqual([
    'debits_equal_credits',
    'purse_balances',
  ])
  expect(report.checks.find((check) => check.name === 'purse_balances')).toMatchObject({ ok: false, checked: 1, failures: 1 })
  expect(code).toBe(1)
})

it('takes the database of the environment where none is named', async () => {
  expect((await runSarf(['audit'], { DATABASE_URL: clean.url })).code).toBe(0)
})

it.each([
  [['--database', 'nonsense'], '--database must be a URL that begins with postgres://'],
  [['--database', 'postgres://127.0.0.1', '--redis', 'http://127.0.0.1'], '--redis must be a URL that begins with redis://'],
  [['--hold-grace', 'long'], 'Whole seconds'],
  [['--everything'], 'unknown option'],
])('exits 2 and says how it is used: %j', async (args, message) => {
  const { code, stderr } = await runSarf(['audit', ...args])
  expect(stderr).toContain(message)
  expect(code).toBe(2)
})

it.each([
  [['--database', 'postgres://127.0.0.1:1/nowhere'], /^error: cannot connect to the database: .*ECONNREFUSED.*\n$/],
  [[], /^error: no switch runs here: start it with npm start, or name its database with --database\n$/],
])('exits 3 with one line where there is nobody to ask: %j', async (args, line) => {
  const { code, stdout, stderr } = await runSarf(['audit', ...args])
  expect(stderr).toMatch(line)
  expect(stdout).toBe('')
  expect(code).toBe(3)
})
