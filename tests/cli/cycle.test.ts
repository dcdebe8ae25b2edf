import { describe, expect, it } from 'vitest'
import { cairoDay } from '../../src/clock.ts'
import { monthOf, nextMonth } from '../../src/purse/entitlement.ts'
import { createLedger } from '../support/commitItems.ts'
import { addHousehold, breadOf, pointsOf, purseRow } from '../support/households.ts'
import { runSarf } from './runSarf.ts'

const month = monthOf(cairoDay(Date.now()))
const NOWHERE = 'postgres://127.0.0.1:1/nowhere'

describe('sarf cycle open', () => {
  it('opens the present month, once', async () => {
    const ledger = await createLedger()
    await addHousehold(ledger, 1, { ration: 1, bread: 1 })
    const first = await runSarf(['cycle', 'open', '--database', ledger.url])
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(new RegExp(`^2 openings up to ${month.slice(0, 7)} in \\d+\\.\\d s\\n$`))
    expect(await purseRow(ledger, breadOf(1))).toMatchObject({ cycle: month, version: 1 })
    const again = await runSarf(['cycle', 'open', '--json'], { DATABASE_URL: ledger.url })
    expect(again.code).toBe(0)
    expect(JSON.parse(again.stdout)).toMatchObject({ month: month.slice(0, 7), opened: 0, behind: 0 })
  })

  it('exits 1 where a purse could not be opened', async () => {
    const ledger = await createLedger()
    await addHousehold(ledger, 1, { ration: 1, bread: 1 })
    await runSarf(['cycle', 'open', '--month', '2026-01', '--database', ledger.url])
    await ledger.sql('DELETE FROM purse WHERE id = $1', [pointsOf(1)])
    const { code, stdout } = await runSarf(['cycle', 'open', '--month', '2026-02', '--database', ledger.url])
    expect(stdout).toMatch(/^1 openings up to 2026-02 in .*; 1 purses could not be opened\n$/)
    expect(code).toBe(1)
  })

  it.each([
    [['--month', nextMonth(month).slice(0, 7)], 'has not begun in Cairo'],
    [['--month', '2026-13'], 'A month as 2026-12.'],
    [['--moth', '2026-12'], 'unknown option'],
  ])('exits 2 for %j', async (options, text) => {
    const { code, stderr } = await runSarf(['cycle', 'open', ...options, '--database', NOWHERE])
    expect(stderr).toContain(text)
    expect(code).toBe(2)
  })

  it('exits 3 with one line where there is no database', async () => {
    expect(await runSarf(['cycle', 'open', '--database', NOWHERE])).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: cannot connect to the database\n',
    })
  })
})
