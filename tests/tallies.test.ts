/** What is added up in variables reads as if prom-client had counted it. */
import { AggregatorRegistry, Counter, Histogram, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { TalliedCounter, TalliedHistogram } from '../src/tallies.ts'

const BOUNDS = [0.001, 0.25, 5]
const VALUES = [0, 0.001, 0.0011, 0.25, 0.3, 5, 7.5]

test('a registry has the same text at each question, and so have two workers together', async () => {
  const [ours, theirs] = [new Registry(), new Registry()]
  const count = { name: 'answers', help: 'Answers', labelNames: ['kind', 'code'] }
  const time = { name: 'seconds', help: 'Time', labelNames: ['kind'] }
  const [talliedCounter, counter] = [
    new TalliedCounter({ ...count, registers: [ours] }),
    new Counter({ ...count, registers: [theirs] }),
  ]
  const talliedHistogram = new TalliedHistogram({ ...time, registers: [ours] }, BOUNDS)
  const histogram = new Histogram({ ...time, buckets: BOUNDS, registers: [theirs] })
  // Nothing is shown of what was asked for and never counted.
  talliedCounter.labels('balance', '51')
  talliedHistogram.series('balance')
  for (const round of [1, 2]) {
    for (const value of VALUES) {
      talliedCounter.labels('purchase', '00').count++
      counter.inc({ kind: 'purchase', code: '00' })
      talliedHistogram.series('purchase').observe(value * round)
      histogram.observe({ kind: 'purchase' }, value * round)
    }
    expect(await ours.metrics()).toBe(await theirs.metrics())
    expect(await ofTwo(ours)).toBe(await ofTwo(theirs))
  }
})

async function ofTwo(registry: Registry): Promise<string> {
  const measured = await registry.getMetricsAsJSON()
  return await AggregatorRegistry.aggregate([measured, measured]).metrics()
}
