/** What can go wrong, one fault a part and kind: how it is brought about, and how it is healed. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../../benchmarks/support/random.ts'
import type { Swallowed } from './faultyProxy.ts'
import type { Stack } from './stack.ts'
import type { Terminals } from './terminals.ts'

export interface Fault {
  /** What the report counts together. */
  readonly kind: string
  /** What it hits: of two faults at once each hits another part. */
  readonly part: string
  /** The switch processes that have to answer again. */
  readonly hosts: readonly number[]
  /** How long it may last. */
  readonly leastMs: number
  readonly mostMs: number
  /** Resolves when it is healed, as far as whoever operates it has to do something. */
  run(forMs: number): Promise<void>
}

export interface FaultOptions {
  readonly stack: Stack
  readonly terminals: Terminals
  readonly random: Random
  /** The longest that a process stands still, and that anything else lasts. */
  readonly pauseMostMs: number
  readonly otherMostMs: number
}

const HOUR_MS = 3_600_000
const DELAY_MS = 400
const LEAST_MS = 200

export function allFaults({ stack, terminals, random, pauseMostMs, otherMostMs }: FaultOptions): Fault[] {
  const { postgres, redis, disk, nodes } = stack
  const everywhere = nodes.map((_, host) => host)
  const faults: Fault[] = []
  const add = (kind: string, part: string, hosts: readonly number[], longestMs: number, run: (forMs: number) => Promise<void>): void => {
    const mostMs = longestMs === pauseMostMs ? longestMs : Math.min(longestMs, otherMostMs)
    faults.push({ kind, part, hosts, leastMs: LEAST_MS, mostMs, run })
  }
  const paused = async (pause: () => () => void, forMs: number): Promise<void> => {
    const goOn = pause()
    await sleep(forMs)
    goOn()
  }

  add('kill Redis', 'Redis', everywhere, 1500, (forMs) => redis.kill(forMs))
  add('pause Redis', 'Redis', everywhere, pauseMostMs, (forMs) => paused(() => redis.pause(), forMs))
  add('flush Redis', 'Redis', everywhere, LEAST_MS, () => redis.flush())
  add('Redis from an old file', 'Redis', everywhere, 1500, (forMs) => redis.kill(forMs, true))
  add('kill Postgres', 'Postgres', everywhere, 1500, (forMs) => postgres.kill(forMs))
  add('kill a Postgres backend', 'Postgres', everywhere, LEAST_MS, async () => postgres.killBackend())
  add('pause Postgres', 'Postgres', everywhere, pauseMostMs, (forMs) => paused(() => postgres.pause(), forMs))
  if (disk !== undefined)
    add('full disk', 'Postgres', everywhere, 5000, async (forMs) => {
      const free = await disk.fill()
      await sleep(forMs)
      free()
      await postgres.up()
    })

  for (const [host, { process, links }] of nodes.entries()) {
    const part = `switch ${host}`
    add('kill switch', part, [host], 1500, async (forMs) => {
      await process.kill()
      // A till may burn down with what it asked of this process.
      terminals.breakDown(random.below(3))
      await sleep(forMs)
      void process.start()
    })
    add('pause switch', part, [host], pauseMostMs, (forMs) => paused(() => process.pause(), forMs))
    for (const [kind, step] of [
      ['clock an hour ahead', HOUR_MS],
      ['clock an hour back', -HOUR_MS],
    ] as const) {
      add(kind, part, [host], 5000, async (forMs) => {
        process.stepClock(step)
        await sleep(forMs)
        process.stepClock(0)
      })
    }
    for (const [name, link] of Object.entries(links)) {
      const linkPart = `${name} link of switch ${host}`
      const whileBroken = (breakIt: () => void) => async (forMs: number) => {
        breakIt()
        await sleep(forMs)
        link.mend()
      }
      add(`cut ${name} link`, linkPart, [host], 4000, whileBroken(() => link.cut()))
      add(`slow ${name} link`, linkPart, [host], 4000, whileBroken(() => link.delay(1 + random.below(DELAY_MS), DELAY_MS)))
      add(`reset ${name} link`, linkPart, [host], LEAST_MS, async () => link.reset())
      add(`half-open ${name} link`, linkPart, [host], 4000, whileBroken(() => link.swallow(SWALLOWED[random.below(3)]!)))
    }
  }
  return faults
}

const SWALLOWED: readonly Swallowed[] = ['requests', 'answers', 'both']
