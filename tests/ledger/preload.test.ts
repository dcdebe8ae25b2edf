/** Filling Redis, against stand-ins that fail when a test says so; with the real ones tests/chaos does the same. */
import { expect, test } from 'vitest'
import { HotStateUnavailable, type HotState } from '../../src/decision/hotState.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { preload } from '../../src/ledger/preload.ts'
import { silentLogger } from '../../src/log.ts'
import { TestClock } from '../support/switch.ts'

const PAGES = 4

/** Each page has one card, which is named after it. */
const ledger = {
  cardPage: async (after: number) =>
    after === PAGES ? { cards: [], last: undefined } : { cards: [{ card: `card ${after + 1}`, purses: [] }], last: after + 1 },
} as unknown as Ledger

async function fill(put: (hotState: { epoch: number | undefined }) => void): Promise<unknown[]> {
  const told: unknown[] = []
  const hotState = {
    epoch: 1 as number | undefined,
    closed: false,
    put: async (_epoch: number, cards: readonly unknown[]) => {
      put(hotState)
      told.push(...cards)
    },
  }
  const parts = { log: silentLogger, clock: new TestClock(), cardsMax: 100, hurry: () => true, isSuperseded: () => false }
  await preload({ ...parts, ledger, hotState: hotState as unknown as HotState })
  return told
}

test('goes on where it was when Redis is out of reach for a moment', async () => {
  let calls = 0
  const told = await fill((hotState) => {
    if (++calls !== 2) return
    hotState.epoch = undefined
    setTimeout(() => (hotState.epoch = 1), 50)
    throw new HotStateUnavailable('gone')
  })
  expect(told).toEqual(['card 1', 'card 2', 'card 3', 'card 4'])
})

test('ends where Redis has another epoch: whoever moved it on fills it', async () => {
  let calls = 0
  const told = await fill((hotState) => {
    if (++calls === 2) hotState.epoch = 2
  })
  expect(told).toEqual(['card 1', 'card 2'])
})
