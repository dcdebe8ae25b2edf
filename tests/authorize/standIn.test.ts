/** Bread and ration go on while Postgres cannot be reached, from a journal on disk: spec/standin.md. Postgres goes and comes back at a TCP proxy, and once for real. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startCuttingProxy, type CuttingProxy } from '../support/cuttingProxy.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { at, amount, originalOf, startTestSwitch, until, type TestHousehold, type TestLink, type TestSwitch } from '../support/switch.ts'
import { booked, daysDrawn, expectCleanBooks, unitsIn } from './books.ts'
import { bread, ration } from './subsidies.ts'

const NOON = '2026-11-22T10:00:00Z'
const MONTH = 600

let proxy: CuttingProxy
let running: TestSwitch
let pos: TestLink
let household: TestHousehold

beforeAll(async () => {
  running = await startTestSwitch({
    at: NOON,
    configure: async (config) => {
      proxy = await startCuttingProxy(config.databaseUrl)
      return {
        ...config,
        databaseUrl: proxy.url,
        ledger: { ...config.ledger, reconnectMs: 20 },
        registry: { ...config.registry, freshMs: 60_000 },
        standIn: { ...config.standIn, directory: temporaryDirectory(), drainEveryMs: 20 },
      }
    },
  })
  pos = await running.connect('pos')
})

beforeEach(async () => {
  household = await running.openHousehold({ members: 4 })
  await knownToRedis(household)
})

afterAll(async () => {
  await expectCleanBooks(running)
})

/** A card stands in only where Redis knows it; its terminals are known too from now on. */
async function knownToRedis({ head }: TestHousehold): Promise<void> {
  await pos.ask('0200', bread(head.pan, 999, 1))
  await pos.ask('0200', ration(head.pan, ['OIL*999*400']))
}

async function down(): Promise<void> {
  proxy.sever()
  await until(async () => !(await isReady()))
}

async function up(): Promise<void> {
  proxy.mend()
  await until(isReady)
}

async function isReady(): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${running.portOf('http')}/readyz`)).ok
}

async function drained(): Promise<void> {
  await until(async () => (await metric('sarf_standin_undrained')) === 0)
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${running.portOf('http')}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

describe('while the ledger cannot be reached', () => {
  it('bread for a day goes on, and is in the ledger when it is back', async () => {
    await down()
    const { sent, answer } = await pos.exchange('0200', bread(household.head.pan, 20))
    expect(answer.text(39)).toBe('00')
    expect((await pos.send({ ...sent, mti: '0201' })).text(39)).toBe('00')
    await up()
    await drained()
    expect(await booked(running, sent)).toEqual({
      kind: 'dispense',
      code: '00',
      approved: 400,
      transfers: ['2110 -> 9001: 20', '1210 -> 2210: 2100'],
    })
    expect(await daysDrawn(running, household.purses.bread)).toEqual([22])
    expect(await unitsIn(running, household.purses.bread)).toBe(MONTH - 20)
    const again = await pos.send({ ...sent, mti: '0201' })
    expect([again.text(39), again.text(38)]).toEqual(['00', answer.text(38)])
  })
})
