/**
 * `npm run fuzz -- [--seconds S] [--runs N] [--seed N] [--target name]... [--grow]`: looks for inputs that break what the parsers promise
 * (tests/fuzz/targets). What it finds is written to tests/fuzz/findings, where `npm test` runs it again; exit code 1. The same seed and
 * number of runs find the same.
 *
 * Why not a tool: @jazzer.js/core 4.0.0 was tried. Its prebuilt addon needs glibc 2.38 (Debian 12 has 2.36), its module hook leaves alone what
 * Node.js loads as `module-typescript`, and it brings 105 packages. V8's own coverage (node:inspector) has no cheap answer to what one input
 * reached. So the branches are counted by code that is written into the sources as they are loaded: tests/fuzz/coverage.ts.
 */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { FINDINGS, writeCorpus, writeFinding } from './inputFiles.ts'
import { TARGET_NAMES } from './targets.ts'
import { INPUT_AT, INPUT_BYTES_MAX, type Report, type Work } from './worker.ts'

/** No input takes longer; whatever else the machine does. */
const HANG_MS = 2000
const WATCH_MS = 200
/** What inputs of a few hundred bytes may take. */
const HEAP_MB_MAX = 512
/** Of what is kept for `npm test`: small, so that it can be read and run each time. */
const CORPUS_MAX = 48
const CORPUS_BYTES_MAX = 400

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    runs: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    target: { type: 'string', multiple: true, default: [...TARGET_NAMES] },
    findings: { type: 'string', default: FINDINGS },
    grow: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const runsMax = values.runs === undefined ? Infinity : Number(values.runs)
const ms = values.runs === undefined ? (Number(values.seconds) * 1000) / values.target.length : Infinity
let findings = 0
let runs = 0

say(`fuzz: ${values.target.length} targets, seed ${seed}${values.runs === undefined ? `, ${values.seconds} s` : ''}`)
for (let rest: readonly string[] = values.target; rest.length > 0;) rest = rest.slice(await fuzzInWorker(rest))
say(`fuzz: ${runs.toLocaleString('en-US')} inputs, ${findings === 0 ? 'nothing found' : `${findings} found`}, seed ${seed}`)
process.exit(findings === 0 ? 0 : 1)

/** @returns how many of `targets` are done with: not all where one hung or took the worker's memory */
async function fuzzInWorker(targets: readonly string[]): Promise<number> {
  let done = 0
  const { failure, input } = await inWorker({ targets, replay: undefined }, (report) => {
    if (report.kind === 'finding') found(report.target, report.input, report.error)
    if (report.kind !== 'ended') return
    done++
    runs += report.runs
    say(`  ${report.target.padEnd(20)} ${report.runs.toLocaleString('en-US').padStart(10)} inputs, ${report.reached} branches`)
    const worthKeeping = report.corpus.filter((kept) => kept.length <= CORPUS_BYTES_MAX).slice(0, CORPUS_MAX)
    if (values.grow)
      writeCorpus(
        report.target,
        worthKeeping.map((kept) => Buffer.from(kept)),
      )
  })
  if (failure === undefined) return done
  const target = targets[done]!
  const again = await inWorker({ targets: [target], replay: input }, () => {})
  if (again.failure !== undefined) found(target, input, failure)
  else say(`  ${target}: an input was slow once and is not when run again: ${Buffer.from(input).toString('hex')}`)
  return done + 1
}

function found(target: string, input: Uint8Array, error: string): void {
  findings++
  const file = writeFinding(values.findings, target, input, error)
  say(`FOUND ${target}: ${relative(process.cwd(), file)}\n${Buffer.from(input).toString('hex')}\n${error}\n`)
}

/** Runs until the worker is through or an input hangs; `input` is the one that was being run last. */
function inWorker(
  part: Pick<Work, 'targets' | 'replay'>,
  onReport: (report: Report) => void,
): Promise<{ failure: string | undefined; input: Uint8Array }> {
  const shared = new SharedArrayBuffer(INPUT_AT + INPUT_BYTES_MAX)
  const header = new Int32Array(shared, 0, 2)
  Atomics.store(header, 1, -1)
  const work: Work = { ...part, seed, runsMax, ms, shared }
  const worker = new Worker(fileURLToPath(new URL('worker.ts', import.meta.url)), {
    workerData: work,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
  })
  let failure: string | undefined
  let seenRuns = 0
  let seenAtMs = performance.now()
  const watch = setInterval(() => {
    const runs = Atomics.load(header, 0)
    if (runs !== seenRuns || Atomics.load(header, 1) < 0) {
      seenRuns = runs
      seenAtMs = performance.now()
    } else if (performance.now() - seenAtMs > HANG_MS) {
      failure = `does not end within ${HANG_MS} ms`
      void worker.terminate()
    }
  }, WATCH_MS)
  worker.on('message', onReport)
  worker.once('error', (error: Error & { code?: string }) => {
    // A mistake of the fuzzer itself is no finding.
    if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error
    failure = `takes more than ${HEAP_MB_MAX} MB`
  })
  return new Promise((resolve) => {
    worker.once('exit', () => {
      clearInterval(watch)
      const length = Math.max(0, Atomics.load(header, 1))
      resolve({ failure, input: new Uint8Array(shared, INPUT_AT).slice(0, length) })
    })
  })
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
