/** `sarf audit`: proves the ledger, and says what is wrong with it. */
import { Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../clock.ts'
import { ConfigError } from '../config.ts'
import { audit, CannotAudit, type AuditReport } from '../ledger/audit.ts'
import type { AuditCheck } from '../ledger/audit/check.ts'
import { NoStackError, serversOf, type GivenServers } from './servers.ts'
import { UsageError } from './usageError.ts'

/** Exit codes: 0 the ledger is proved, 1 something is wrong with it, 2 the command was used wrongly, 3 no connection. */
export function auditCommand(): Command {
  const command = new Command('audit')
    .description(
      'Prove the ledger from its tables: balances, versions, keys, holds, follow-ups; and that Redis agrees with it when quiet.',
    )
    .option('--database <url>', 'the ledger to prove (default: DATABASE_URL, else that of the running stack)')
    .option('--redis <url>', 'the Redis to compare with it (default: the one that belongs to the database, where that is known)')
    .option('--hold-grace <seconds>', 'how long after its end a hold may still be open', seconds, HOLD_GRACE_S)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExit codes: 0 proved, 1 something is wrong, 2 wrong usage, 3 no connection.')
  const print = (text: string): void => {
    command.configureOutput().writeOut?.(text)
  }
  command.action(async (options: AuditCommandOptions) => {
    try {
      process.exitCode = (await run(options, print)).ok ? EXIT_PROVED : EXIT_WRONG
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UsageError)
        command.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
      if (!(error instanceof CannotAudit || error instanceof NoStackError)) throw error
      command.error(`error: ${error.message}`, { exitCode: EXIT_NO_CONNECTION })
    }
  })
  return command
}

const EXIT_PROVED = 0
const EXIT_WRONG = 1
const EXIT_USAGE = 2
const EXIT_NO_CONNECTION = 3
/** A switch that was down releases what ended meanwhile in its first minutes. */
const HOLD_GRACE_S = 3600

interface AuditCommandOptions extends GivenServers {
  readonly holdGrace: number
  readonly json?: true
}

async function run(options: AuditCommandOptions, print: (text: string) => void): Promise<AuditReport> {
  const { databaseUrl, redisUrl, config } = serversOf(options)
  const { everyMs, reservationAgeMs } = config.sweeper
  const report = await audit({
    databaseUrl,
    redisUrl,
    programme: config.programme,
    holdGraceMs: options.holdGrace * 1000,
    // Swept in the first round after its time; one round more for a sweep that takes long.
    reservationAgeMs: reservationAgeMs + 2 * everyMs,
    clock: systemClock,
    ...(options.json === true ? {} : { onCheck: (check) => print(checkText(check)) }),
  })
  print(options.json === true ? JSON.stringify(report) + '\n' : reportText(report))
  return report
}

function checkText(check: AuditCheck): string {
  const { name, ok, checked, failures, examples, skipped } = check
  if (skipped !== undefined) return `${'skipped'.padEnd(8)}${name.padEnd(NAME_WIDTH)}${skipped}\n`
  const counts = failures === 0 ? `${count(checked)} checked` : `${count(failures)} of ${count(checked)} wrong`
  const rows = examples.map((example) => `          ${JSON.stringify(example)}\n`)
  return `${(ok ? 'ok' : 'FAILED').padEnd(8)}${name.padEnd(NAME_WIDTH)}${counts}\n${rows.join('')}`
}

const NAME_WIDTH = 22

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function reportText({ ok, checks, elapsedMs }: AuditReport): string {
  const failed = checks.filter((check) => !check.ok).length
  const verdict = ok ? 'The ledger is proved' : `${failed} of ${checks.length} checks failed`
  return `${verdict} (${(elapsedMs / 1000).toFixed(1)} s)\n`
}

function seconds(value: string): number {
  const number = Number(value)
  if (!/^\d+$/.test(value) || number > 31_536_000) throw new InvalidArgumentError('Whole seconds, at most a year.')
  return number
}
