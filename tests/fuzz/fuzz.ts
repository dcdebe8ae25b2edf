/**
 * The loop: change an input that is known to be interesting, run it, keep it where it reached a branch that none before it did, or one
 * more often by an order of magnitude.
 */
import { randomFrom } from '../../benchmarks/support/random.ts'
import type { Coverage } from './coverage.ts'
import { mutate } from './mutations.ts'
import type { Target } from './target.ts'

export interface FuzzOptions {
  readonly seed: number
  /** Stops after so many inputs. */
  readonly runsMax: number
  /** Stops then, by `performance.now`. */
  readonly untilMs: number
  /** Inputs of earlier runs. */
  readonly corpus: readonly Uint8Array[]
  /** Called with each input before it is run, so that somebody else can see what hangs. */
  readonly onInput: (input: Uint8Array) => void
  readonly onFinding: (finding: Finding) => void
}

export interface Finding {
  /** As small as it could be made. */
  readonly input: Buffer
  readonly error: string
}

export interface FuzzResult {
  readonly runs: number
  /** Branches reached, each order of magnitude counted by itself. */
  readonly reached: number
  /** What reaches all of them, shortest first. */
  readonly corpus: readonly Buffer[]
}

/** Findings of one target that are one too many to read. */
const FINDINGS_MAX = 8
const MINIMISING_RUNS_MAX = 5000

export async function fuzz(target: Target, coverage: Coverage, options: FuzzOptions): Promise<FuzzResult> {
  const random = randomFrom(options.seed)
  const seen = new Set<number>()
  const corpus: Buffer[] = []
  const found = new Set<string>()
  let runs = 0

  /** What it threw; it says so too where that was a branch nobody has seen. */
  const run = async (input: Buffer): Promise<string | undefined> => {
    runs++
    options.onInput(input)
    coverage.counters.fill(0, 0, coverage.places())
    // The target gets a copy, and one to whose end there is nothing: views that reach beyond it fail.
    const copy = Buffer.from(new Uint8Array(input).buffer)
    try {
      const verdict = target.run(copy)
      if (typeof verdict !== 'string') await verdict
    } catch (error) {
      return signature(error)
    }
    return copy.equals(input) ? undefined : 'the input was written to'
  }
  const tryInput = async (input: Buffer): Promise<void> => {
    const error = await run(input)
    if (error !== undefined && !found.has(kindOf(error))) {
      found.add(kindOf(error))
      const smaller = await minimise(input, async (candidate) => kindOf((await run(candidate)) ?? '') === kindOf(error))
      options.onFinding({ input: smaller, error: (await run(smaller)) ?? error })
    } else if (error === undefined && noteReached(coverage, seen)) {
      corpus.push(input)
    }
  }

  const seeds = [...target.seeds, ...options.corpus].map((input) => Buffer.from(input))
  for (const input of seeds) await tryInput(input)
  const reachedPlaces = new Set([...seen].map((key) => Math.floor(key / ORDERS)))
  const tokens = [
    ...target.dictionary.map((token) => Buffer.from(token as string)),
    ...coverage.literals((place) => reachedPlaces.has(place)),
  ]
  if (corpus.length === 0) corpus.push(Buffer.alloc(0))
  while (runs < options.runsMax && found.size < FINDINGS_MAX && performance.now() < options.untilMs) {
    // What came last is the least explored: half of the time one of the last few is taken.
    const last = Math.min(corpus.length, RECENT)
    const index = random.below(2) === 0 ? corpus.length - 1 - random.below(last) : random.below(corpus.length)
    await tryInput(mutate(corpus[index]!, { random, corpus, tokens, bytesMax: target.bytesMax }))
  }
  const tried = runs
  const reached = seen.size
  seen.clear()
  const kept: Buffer[] = []
  for (const input of corpus.toSorted((a, b) => a.length - b.length)) {
    if ((await run(input)) === undefined && noteReached(coverage, seen)) kept.push(input)
  }
  return { runs: tried, reached, corpus: kept }
}

const RECENT = 8
/** Powers of two of a count that are told apart. */
const ORDERS = 9

/** Whether a branch was reached that is not in `seen`, or one of another order of magnitude; they are in it then. */
function noteReached(coverage: Coverage, seen: Set<number>): boolean {
  const { counters } = coverage
  let isNew = false
  const end = coverage.places()
  for (let place = 0; place < end; place++) {
    const count = counters[place]!
    if (count === 0) continue
    const key = place * ORDERS + Math.min(32 - Math.clz32(count), ORDERS - 1)
    if (!seen.has(key)) {
      seen.add(key)
      isNew = true
    }
  }
  return isNew
}

/** Removes pieces, large ones first, as long as it still fails. */
async function minimise(input: Buffer, fails: (candidate: Buffer) => Promise<boolean>): Promise<Buffer> {
  let smallest = input
  let runs = 0
  for (let size = input.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < smallest.length && runs < MINIMISING_RUNS_MAX;) {
      const candidate = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)])
      runs++
      if (await fails(candidate)) smallest = candidate
      else at += size
    }
  }
  return smallest
}

/** An error's text and the places it came from that are ours. */
function signature(error: unknown): string {
  if (!(error instanceof Error)) return `${String(error)} was thrown`
  const ours = (error.stack ?? '').split('\n').filter((line) => OURS.test(line) && !BETWEEN.test(line))
  const places = ours.map((line) => line.replace(/^.*?((?:src|tests)\/[^ )]*).*$/, '$1')).slice(0, PLACES_SHOWN)
  return `${error.name}: ${error.message}\n${places.map((place) => `  at ${place}`).join('\n')}`
}

const OURS = /^\s+at .*\/(src|tests\/fuzz)\//
/** Places that say nothing of where an error is from. */
const BETWEEN = /\/(src\/assert|tests\/fuzz\/(fuzz|target))\.ts/
const PLACES_SHOWN = 4

/** Errors that come from one place are one finding, whatever they say of the input. */
function kindOf(error: string): string {
  const [what = '', place = ''] = error.split('\n')
  return place === '' ? what : what.slice(0, what.indexOf(':')) + place
}
