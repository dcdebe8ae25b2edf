import { expect, it } from 'vitest'
import { chooseQuantity, chooseScenario, chooseSequel, MIX_NAMES, MIXES } from '../../../benchmarks/support/mix.ts'
import { randomFrom } from '../../../benchmarks/support/random.ts'

it('the same seed chooses the same numbers, another one others', () => {
  const numbers = (seed: number): number[] => {
    const random = randomFrom(seed)
    return Array.from({ length: 20 }, () => random.below(1_000_000))
  }
  expect(numbers(7)).toEqual(numbers(7))
  expect(numbers(7)).not.toEqual(numbers(8))
})

it('random numbers stay below their bound and reach all of it', () => {
  const random = randomFrom(1)
  const seen = new Set(Array.from({ length: 1000 }, () => random.below(10)))
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

it.each(MIX_NAMES)('mix %s plays its scenarios as often as their weights say', (name) => {
  const { scenarios } = MIXES[name]
  const total = scenarios.reduce((sum, scenario) => sum + scenario.weight, 0)
  const random = randomFrom(3)
  const played = new Map<unknown, number>()
  for (let i = 0; i < 20_000; i++) {
    const scenario = chooseScenario(scenarios, random)
    played.set(scenario, (played.get(scenario) ?? 0) + 1)
  }
  for (const scenario of scenarios) expect((played.get(scenario) ?? 0) / 20_000).toBeCloseTo(scenario.weight / total, 1)
})

it('of 100 messages of the national mix that move something two are reversed; of all messages one is repeated', () => {
  const random = randomFrom(5)
  const { national } = MIXES
  const counts = { repeated: 0, reversed: 0 }
  const [bread] = national.scenarios
  for (let i = 0; i < 50_000; i++) {
    const sequel = chooseSequel(national, bread!, random)
    if (sequel === 'repeat') counts.repeated++
    else if (sequel !== undefined) {
      expect(sequel).toEqual({ then: 'reversal of bread' })
      counts.reversed++
    }
  }
  expect(counts.reversed / 500).toBeCloseTo(2, 0)
  expect(counts.repeated / 500).toBeCloseTo(1, 0)
})

it('what moves nothing is never reversed', () => {
  const random = randomFrom(5)
  const { national } = MIXES
  const still = national.scenarios.filter(({ kind }) => kind === 'balance' || kind === 'eligibility')
  expect(still).toHaveLength(2)
  const sequels = still.flatMap((scenario) => Array.from({ length: 5000 }, () => chooseSequel(national, scenario, random)))
  expect(new Set(sequels)).toEqual(new Set([undefined, 'repeat']))
})

it('bread is for as many loaves as the household may have, and is paid by the loaf', () => {
  const random = randomFrom(9)
  const seen = new Set<number>()
  for (let i = 0; i < 500; i++) {
    const { amount, loaves } = chooseQuantity('bread', random, { loafPrice: 20 }, 10)
    expect(amount).toBe(loaves * 20)
    seen.add(loaves)
  }
  expect([...seen].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})
