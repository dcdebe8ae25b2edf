/** Fuzzes one target after the other. In a worker, because an input that hangs can be ended from outside only. */
import { parentPort, workerData } from 'node:worker_threads'
import { countBranches } from './coverage.ts'
import { fuzz, type Finding, type FuzzResult } from './fuzz.ts'
import { readCorpus, readFindings } from './inputFiles.ts'
import { loadTarget } from './targets.ts'

export interface Work {
  readonly targets: readonly string[]
  readonly seed: number
  readonly runsMax: number
  /** For one target. */
  readonly ms: number
  /** Where the input that is being run can be seen: `INPUT_AT` bytes of header, then its bytes. */
  readonly shared: SharedArrayBuffer
  /** Only this input is run, with the one target. */
  readonly replay: Uint8Array | undefined
}

export type Report =
  | { readonly kind: 'begun'; readonly target: string }
  | ({ readonly kind: 'finding'; readonly target: string } & Finding)
  | ({ readonly kind: 'ended'; readonly target: string } & FuzzResult)

/** Two numbers of 32 bits: inputs run so far, and the length of the one that is being run, -1 where none is. */
export const INPUT_AT = 8
export const INPUT_BYTES_MAX = 1 << 16

if (parentPort !== null) await work(workerData as Work, (report) => parentPort?.postMessage(report))

async function work({ targets, seed, runsMax, ms, shared, replay }: Work, tell: (report: Report) => void): Promise<void> {
  const header = new Int32Array(shared, 0, 2)
  const bytes = new Uint8Array(shared, INPUT_AT)
  const onInput = (input: Uint8Array): void => {
    bytes.set(input.subarray(0, INPUT_BYTES_MAX))
    Atomics.store(header, 1, input.length)
    Atomics.add(header, 0, 1)
  }
  // Before anything of src is imported.
  const coverage = countBranches(
    (file) => /[\\/](src[\\/].*|tests[\\/]fuzz[\\/]planted\.ts)$/.test(file) && !file.includes('node_modules'),
  )
  for (const name of targets) {
    const target = await loadTarget(name)
    tell({ kind: 'begun', target: name })
    if (replay !== undefined) {
      onInput(replay)
      await Promise.resolve(target.run(Buffer.from(replay))).catch(() => 'rejected')
    } else {
      const result = await fuzz(target, coverage, {
        // A target finds the same alone as among others.
        seed: Buffer.from(name).reduce((hash, byte) => Math.imul(hash, 31) + byte, seed) >>> 0,
        runsMax,
        untilMs: performance.now() + ms,
        corpus: [...readCorpus(name), ...readFindings(name)],
        onInput,
        onFinding: (finding) => tell({ kind: 'finding', target: name, ...finding }),
      })
      tell({ kind: 'ended', target: name, ...result })
    }
    Atomics.store(header, 1, -1)
  }
}
