/** `npm run -s bench:stages`: each stage of the switch alone, on private servers, in the same run. See --help. */
import { Command, InvalidArgumentError } from 'commander'
import { Interrupted, listenForStop } from '../src/local/stopRequest.ts'
import { explain } from './support/explain.ts'
import { startPrivateServers } from './support/privateServers.ts'
import { measureStages, type StageResult } from './support/stage.ts'
import { codecStages } from './support/stageCodec.ts'
import { commitStages } from './support/stageCommit.ts'
import { reserveStages } from './support/stageReserve.ts'

const HOUSEHOLDS = 20_000
const TITLES: Readonly<Record<StageResult['stage'], string>> = {
  decode: 'decode a purchase and read its fields, messages/s by dialect',
  encode: 'make and encode its answer, messages/s by dialect',
  reserve: 'reserve in Redis, items/s by batch size',
  commit: 'group commit in Postgres, items/s by batch size',
}

const EXIT_FAILED = 1
const EXIT_INTERRUPTED = 130

interface StagesOptions {
  readonly rounds: number
  readonly roundMs: number
  readonly json: boolean
}

const options = readOptions(process.argv.slice(2))
const request = listenForStop()
process.exit(await main())

async function main(): Promise<number> {
  try {
    const results = await measure()
    process.stdout.write(options.json ? `${JSON.stringify(results)}\n` : table(results))
    return 0
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED
    note(explain(error))
    return EXIT_FAILED
  }
}

async function measure(): Promise<StageResult[]> {
  const servers = await startPrivateServers({ households: HOUSEHOLDS, keep: false, onStep: note })
  try {
    const reserve = await reserveStages(servers.config, HOUSEHOLDS)
    const commit = await commitStages(servers.config, HOUSEHOLDS)
    const results = await measureStages([...codecStages(), ...reserve.measures, ...commit.measures], {
      rounds: options.rounds,
      forMs: options.roundMs,
      onRound: (round) => {
        request.throwIfAsked()
        note(round === 0 ? 'warming up' : `round ${String(round)} of ${String(options.rounds)}`)
      },
    })
    await Promise.all([reserve.close(), commit.close()])
    return results
  } finally {
    await servers.stop()
  }
}

function table(results: readonly StageResult[]): string {
  const lines: string[] = []
  for (const [stage, title] of Object.entries(TITLES)) {
    lines.push(title)
    for (const { variant, median, least, most } of results.filter((result) => result.stage === stage)) {
      lines.push(`  ${variant.padEnd(6)} ${String(median).padStart(9)}   (${String(least)} to ${String(most)})`)
    }
  }
  return lines.join('\n') + '\n'
}

function readOptions(argv: readonly string[]): StagesOptions {
  const command = new Command('bench:stages')
    .description('Measure each stage of the switch alone, on a Postgres and a Redis of its own: which one bounds the whole?')
    .option('--rounds <count>', 'how often each is measured; the median counts, the spread is shown', count, 5)
    .option('--round-ms <milliseconds>', 'how long each time', count, 500)
    .option('--json', 'print only JSON on stdout: [{stage, variant, median, least, most, rounds}], in items a second', false)
  return command.parse(argv, { from: 'user' }).opts<StagesOptions>()
}

function count(value: string): number {
  if (!/^[1-9]\d{0,5}$/.test(value)) throw new InvalidArgumentError('A whole number from 1.')
  return Number(value)
}

/** On stderr: stdout belongs to the results. */
function note(text: string): void {
  process.stderr.write(`bench:stages: ${text}\n`)
}
