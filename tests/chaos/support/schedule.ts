/**
 * A seeded schedule of faults: every fault once in a random order, then again in another one. Some have company; after each the system has to answer
 * again at every switch process that was hit, before the next one comes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../../benchmarks/support/random.ts'
import type { Fault } from './faults.ts'
import type { Terminals } from './terminals.ts'

export interface FaultRecord {
  readonly kind: string
  readonly part: string
  readonly fromMs: number
  readonly healedMs: number
  /** When every switch process that was hit had approved something that was asked after the healing; undefined: it never did. */
  readonly recoveredMs: number | undefined
}

export interface ScheduleOptions {
  readonly faults: readonly Fault[]
  readonly terminals: Terminals
  readonly random: Random
  /** Asked before each fault, of which there are `all`. */
  readonly goesOn: (done: number, elapsedMs: number, all: number) => boolean
  /** The longest calm between two faults. */
  readonly calmMs: number
  /** Of 100 faults so many have company. */
  readonly companyPercent: number
  readonly onFault: (record: FaultRecord) => void
}

const RECOVERY_MS = 60_000

export async function runSchedule(options: ScheduleOptions): Promise<FaultRecord[]> {
  const { random, goesOn, calmMs, companyPercent, faults, terminals, onFault } = options
  const records: FaultRecord[] = []
  const startedMs = Date.now()
  let deck: Fault[] = []
  const deal = (notOf?: string): Fault | undefined => {
    if (deck.length === 0) deck = shuffled(faults, random)
    const index = deck.findLastIndex(({ part }) => part !== notOf)
    return deck.splice(index, index < 0 ? 0 : 1)[0]
  }
  while (goesOn(records.length, Date.now() - startedMs, faults.length)) {
    await sleep(random.below(calmMs + 1))
    const first = deal()
    if (first === undefined) return records
    const second = random.below(100) < companyPercent ? deal(first.part) : undefined
    const both = [first, ...(second === undefined ? [] : [second])].map((fault, index) => ({
      fault,
      afterMs: index * random.below(500),
      forMs: fault.leastMs + random.below(fault.mostMs - fault.leastMs + 1),
    }))
    const done = await Promise.all(
      both.map(async ({ fault, afterMs, forMs }) => {
        await sleep(afterMs)
        const fromMs = Date.now()
        await fault.run(forMs)
        return { fault, fromMs, healedMs: Date.now() }
      }),
    )
    // Together they are healed when the last of them is.
    const healedMs = Math.max(...done.map((one) => one.healedMs))
    const hosts = new Set(done.flatMap(({ fault }) => fault.hosts))
    const recoveredMs = await recovery(terminals, hosts, healedMs)
    for (const { fault, fromMs } of done) {
      const record = { kind: fault.kind, part: fault.part, fromMs, healedMs, recoveredMs }
      records.push(record)
      onFault(record)
    }
    if (recoveredMs === undefined) return records
  }
  return records
}

/** Resolves when each of them has approved something that was asked after `sinceMs`. */
async function recovery(terminals: Terminals, hosts: ReadonlySet<number>, sinceMs: number): Promise<number | undefined> {
  const waiting = new Set(hosts)
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  const unwatch = terminals.watch(({ host, atMs }, firstSentMs) => {
    if (firstSentMs >= sinceMs) waiting.delete(host)
    if (waiting.size === 0) resolve(atMs)
  })
  const timer = setTimeout(() => resolve(undefined), RECOVERY_MS)
  const recovered = await promise
  clearTimeout(timer)
  unwatch()
  return recovered
}

/** Fisher and Yates, as Durstenfeld has it. */
function shuffled<T>(list: readonly T[], random: Random): T[] {
  const cards = [...list]
  for (let last = cards.length - 1; last > 0; last--) {
    const other = random.below(last + 1)
    ;[cards[last], cards[other]] = [cards[other]!, cards[last]!]
  }
  return cards
}
