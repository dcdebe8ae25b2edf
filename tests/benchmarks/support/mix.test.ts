import { expect, it } from 'vitest'
import { chooseScenario, MIX_NAMES, MIXES } from '../../../benchmarks/support/mix.ts'
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
