/** `npm run -s bench:crypto`: what the HSM does a second, with keys in this process and with keys on a PKCS#11 token. See --help. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { Interrupted, listenForStop } from '../src/local/stopRequest.ts'
import { developmentKeys } from '../src/security/developmentKeys.ts'
import type { KeyStore } from '../src/security/keys.ts'
import { paymentHsm } from '../src/security/paymentHsm.ts'
import { openPkcs11KeyStore } from '../src/security/pkcs11Keys.ts'
import { softwareKeyStore } from '../src/security/softwareKeys.ts'
import { cryptoOperations, POOL, type BenchedHsm, type CryptoOperation } from './support/cryptoOperations.ts'
import { explain } from './support/explain.ts'
import { softHsmToken } from './support/softHsmToken.ts'
import { measureStages, type StageMeasure, type StageResult } from './support/stage.ts'

const BATCHES = [1, 64] as const
/** Characters of a column of the table. */
const COLUMN = 15
const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130

interface CryptoOptions {
  readonly rounds: number
  readonly roundMs: number
  readonly json: boolean
}

interface Column {
  readonly store: KeyStore['kind']
  readonly batch: number
}

const options = readOptions(process.argv.slice(2))
const request = listenForStop()
process.exit(await main())

async function main(): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'sarf-bench-crypto-'))
  const stores: BenchedHsm[] = [benched(softwareKeyStore(developmentKeys()))]
  try {
    const token = softHsmToken(directory)
    if (typeof token === 'string') note(`PKCS#11 is left out: ${token}`)
    else {
      note('storing the keys on a token of SoftHSM')
      const keys = openPkcs11KeyStore(token)
      for (const key of developmentKeys()) keys.put(key)
      stores.push(benched(keys))
    }
    const results = await measure(await cryptoOperations(), stores)
    process.stdout.write(options.json ? `${JSON.stringify(results)}\n` : table(results))
    return 0
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    note(explain(error))
    return EXIT_FAILED
  } finally {
    for (const { keys } of stores) keys.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

function benched(keys: KeyStore): BenchedHsm {
  return { keys, hsm: paymentHsm(keys) }
}

type Result = Omit<StageResult, 'stage' | 'variant'> & Column & { readonly operation: string }

async function measure(operations: readonly CryptoOperation[], stores: readonly BenchedHsm[]): Promise<Result[]> {
  const cells = operations.flatMap((operation) =>
    stores.flatMap((store) => BATCHES.map((batch) => ({ operation, store, batch, measure: measureOf(operation, store, batch) }))),
  )
  const results = await measureStages(
    cells.map((cell) => cell.measure),
    {
      rounds: options.rounds,
      forMs: options.roundMs,
      onRound: (round) => {
        request.throwIfAsked()
        note(round === 0 ? 'warming up' : `round ${String(round)} of ${String(options.rounds)}`)
      },
    },
  )
  return cells.map(({ operation, store, batch }, index) => {
    const { median = 0, least = 0, most = 0, rounds = 0 } = results[index] ?? {}
    return { operation: operation.name, store: store.keys.kind, batch, median, least, most, rounds }
  })
}

/** @throws Error where a request that is right does not come out right: its figure would be that of something else */
function measureOf(operation: CryptoOperation, store: BenchedHsm, batch: number): StageMeasure<'crypto'> {
  let at = 0
  return {
    stage: 'crypto',
    variant: operation.name,
    run: async (forMs) => {
      const untilMs = performance.now() + forMs
      let items = 0
      while (performance.now() < untilMs) {
        if (!(await operation.run(store, at, batch))) throw new Error(`${operation.name}: not right with ${store.keys.kind} keys`)
        items += batch
        at = (at + batch) % POOL
      }
      return items
    },
  }
}

function table(results: readonly Result[]): string {
  const columns = [
    ...new Map(results.map(({ store, batch }): [string, Column] => [`${store} ${String(batch)}`, { store, batch }])).values(),
  ]
  const names = [...new Set(results.map(({ operation }) => operation))]
  const width = Math.max(...names.map((name) => name.length))
  const head = columns.map(({ store, batch }) => `${store}, ${String(batch)}`.padStart(COLUMN))
  const lines = names.map((name) => {
    const cells = columns.map(({ store, batch }) => {
      const result = results.find((each) => each.operation === name && each.store === store && each.batch === batch)
      return (result?.median ?? 0).toLocaleString('en-US').padStart(COLUMN)
    })
    return name.padEnd(width) + cells.join('')
  })
  return `operations/s on one thread, by store and items a call\n${''.padEnd(width)}${head.join('')}\n${lines.join('\n')}\n`
}

function readOptions(argv: readonly string[]): CryptoOptions {
  const command = new Command('bench:crypto')
    .description(
      'Measure the operations of the HSM, one item a call and 64, with keys in this process and with keys on a token of SoftHSM.',
    )
    .option('--rounds <count>', 'how often each is measured; the median counts', count, 3)
    .option('--round-ms <milliseconds>', 'how long each time', count, 80)
    .option(
      '--json',
      'print only JSON on stdout: [{operation, store, batch, median, least, most, rounds}], in items a second',
      false,
    )
  return command.parse(argv, { from: 'user' }).opts<CryptoOptions>()
}

function count(value: string): number {
  if (!/^[1-9]\d{0,5}$/.test(value)) throw new InvalidArgumentError('A whole number from 1.')
  return Number(value)
}

/** On stderr: stdout belongs to the results. */
function note(text: string): void {
  process.stderr.write(`bench:crypto: ${text}\n`)
}
