/** Counting attempts in Redis: raise.lua through HotState, on a real Redis. */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { HotState, type Attempt } from '../../src/decision/hotState.ts'
import { silentLogger } from '../../src/log.ts'
import { createRedis } from '../support/stack.ts'

let hotState: HotState
beforeAll(async () => {
  hotState = new HotState({
    url: await createRedis(),
    shard: 0,
    callMs: 1000,
    reconnectMs: 50,
    epochs: { agree: () => Promise.resolve(1) },
    clock: systemClock,
    log: silentLogger,
  })
  await hotState.open()
  return () => hotState.close()
})

let names = 0
const counter = (ceiling: number, lifetimeMs = 60_000): Attempt[number] => ({ name: `c${String(++names)}`, ceiling, lifetimeMs })

describe('attempts are counted before they are made', () => {
  it('up to the ceiling, also those of one batch', async () => {
    const one = counter(3)
    expect(await hotState.raise([], [[one], [one], [one], [one], [one]])).toEqual([0, 0, 0, 1, 1])
    expect(await hotState.raise([], [[one]])).toEqual([1])
  })

  it('by all their counters or by none: the first that is full is named', async () => {
    const [wide, narrow] = [counter(10), counter(1)]
    expect(await hotState.raise([], [[wide, narrow], [wide, narrow], [wide]])).toEqual([0, 2, 0])
    const rest = Array.from({ length: 9 }, () => [wide])
    expect(await hotState.raise([], rest)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1])
  })

  it('fifty batches at once get no more than the ceiling', async () => {
    const one = counter(3)
    const results = await Promise.all(Array.from({ length: 50 }, () => hotState.raise([], [[one]])))
    expect(results.flat().filter((full) => full === 0)).toHaveLength(3)
  })

  it('and given back where they came to nothing bad, never below zero', async () => {
    const one = counter(2)
    await hotState.raise([], [[one], [one]])
    expect(await hotState.raise([one], [[one], [one]])).toEqual([0, 1])
    await hotState.raise([one, one, one, one], [])
    expect(await hotState.raise([], [[one], [one], [one]])).toEqual([0, 0, 1])
  })

  it('nothing is given back to a counter that has lived its time, and a new one has the whole ceiling', async () => {
    const one = counter(1, 30)
    expect(await hotState.raise([], [[one]])).toEqual([0])
    await vi.waitUntil(async () => (await hotState.raise([], [[one]]))[0] === 0, { timeout: 5000, interval: 5 })
    const gone = counter(1)
    await hotState.raise([gone], [])
    expect(await hotState.raise([], [[gone], [gone]])).toEqual([0, 1])
  })
})
