/** Fresh histories, those that have found something before, and known bugs that have to be found. */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { BUGS, FOUND_BY } from './bugs.ts'
import { carryOut } from './history.ts'
import { KEPT_SEEDS } from './keptSeeds.ts'
import { planOf } from './plan.ts'
import { shrink } from './shrink.ts'

const FRESH_SEEDS = 16

it('the same seed is the same history, step by step', async () => {
  const [first, second, other] = [await carryOut(planOf(7)), await carryOut(planOf(7)), await carryOut(planOf(8))]
  expect(first).toEqual(second)
  expect(other.digest).not.toBe(first.digest)
  expect(first.steps).toBeGreaterThan(500)
})

it.each(KEPT_SEEDS)('seed %i is clean: %s', async (seed) => {
  expect((await carryOut(planOf(seed))).failure).toBeUndefined()
})

it('fresh seeds are clean', async () => {
  const first = randomInt(1_000_000, 1_000_000_000)
  process.stdout.write(`simulation: seeds ${first} to ${first + FRESH_SEEDS - 1}\n`)
  let steps = 0
  for (let seed = first; seed < first + FRESH_SEEDS; seed++) {
    const result = await carryOut(planOf(seed))
    expect(result.failure, `npm run -s simulate -- --seed ${seed}`).toBeUndefined()
    steps += result.steps
  }
  expect(steps).toBeGreaterThan(FRESH_SEEDS * 500)
})

describe('a planted bug is found:', () => {
  it.each(BUGS.map((bug) => [bug.what, bug] as const))('%s', async (_, bug) => {
    const seed = FOUND_BY[bug.name]!
    expect((await carryOut(planOf(seed))).failure, 'without the bug').toBeUndefined()
    expect((await carryOut(planOf(seed), bug)).failure).toBeDefined()
  })

  it('and its history is made small and can be read', async () => {
    const bug = BUGS.find(({ name }) => name === 'drop-linked-guard')
    const plan = planOf(FOUND_BY['drop-linked-guard']!)
    const { failure } = await carryOut(plan, bug)
    const small = await shrink(plan, failure!, bug, 60)
    expect(small.plan.events.length).toBeLessThan(plan.events.length / 5)
    const lines: string[] = []
    expect((await carryOut(small.plan, bug, lines)).failure).toBe(small.failure)
    expect(lines.at(-1)).toContain('WRONG')
  })
})
