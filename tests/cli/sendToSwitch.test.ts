import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { demoMemberPan, demoPan } from '../../src/programme/demo.ts'
import { startTestSwitch, type TestSwitch } from '../support/switch.ts'
import { send } from './callSend.ts'

let target: TestSwitch
let folder: string

beforeAll(async () => {
  target = await startTestSwitch()
})

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sarf-send-'))
  vi.stubEnv('SARF_STATE', folder)
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

interface Sent {
  readonly responseCode: string
  readonly outcome: {
    readonly billed?: number
    readonly balances?: readonly { readonly purse: string; readonly unit: string; readonly amount: number }[]
    readonly cover?: { readonly class: string; readonly until: string }
    readonly triesLeft?: number
    readonly reason?: string
  }
}

async function sent(...given: string[]): Promise<Sent> {
  const { output, error } = await send(...given, '--json', '--port', String(target.portOf('atm')))
  if (error !== '') throw new Error(error)
  return JSON.parse(output) as Sent
}

it('bread is drawn once a day, and after its reversal again', async () => {
  const bread = ['bread', '--loaves', '20', '--card', demoPan(1)]
  const first = await sent(...bread)
  expect(first.responseCode).toBe('00')
  expect(first.outcome.balances?.at(-1)).toMatchObject({ purse: 'bread', unit: 'LOAF' })
  expect(await sent(...bread)).toMatchObject({ responseCode: '65', outcome: { reason: 'day_drawn' } })
  expect((await sent('reversal')).responseCode).toBe('00')
  expect((await sent(...bread)).responseCode).toBe('00')
})

it('a wallet bakery bills the price to the cash purse', async () => {
  const { responseCode, outcome } = await sent('bread', '--loaves', '5', '--terminal', 'BAK00002', '--card', demoPan(2))
  expect(responseCode).toBe('00')
  expect(outcome.billed).toBe(100)
})

it('ration and points are spent at a grocer and refunded to their purse', async () => {
  const before = (await sent('balance', '--purse', 'ration')).outcome.balances?.at(-1)?.amount ?? 0
  expect((await sent('ration', '--basket', 'OIL*1*3000;SUGAR*2*2400')).responseCode).toBe('00')
  expect((await sent('balance', '--purse', 'ration')).outcome.balances?.at(-1)).toMatchObject({
    unit: 'RATION',
    amount: before - 5400,
  })
  expect((await sent('refund')).responseCode).toBe('00')
  expect((await sent('balance', '--purse', 'ration')).outcome.balances?.at(-1)?.amount).toBe(before)
  expect((await sent('points', '--amount', '3', '--card', demoPan(1))).responseCode).toBe('00')
})

it('a clinic learns the cover and bills the holder the part of the class', async () => {
  const card = demoMemberPan(3, 1)
  const eligibility = await sent('eligibility', '--card', card)
  expect(eligibility).toMatchObject({ responseCode: '00', outcome: { cover: { class: 'STANDARD', until: '2030-12-31' } } })
  expect(await sent('copay', '--amount', '80', '--class', 'LAB', '--card', card)).toMatchObject({
    responseCode: '00',
    outcome: { billed: 800 },
  })
  expect(await sent('eligibility', '--fingerprint', 'mismatch', '--card', card)).toMatchObject({
    responseCode: '63',
    outcome: { triesLeft: 7 },
  })
})
