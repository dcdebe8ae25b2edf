/** `sarf keys rotate`: seals again, with another data key, what is enciphered of cards and persons. */
import { SingleBar } from 'cli-progress'
import { Command, InvalidArgumentError } from 'commander'
import { ConfigError, type Config } from '../config.ts'
import { dataKeyUse, rotateDataKey, ROTATION_BATCH_MAX, type DataKeyUse, type RotateResult } from '../ledger/rotateData.ts'
import { KeyRefused, KeyStoreFailed, type KeyStore } from '../security/keys.ts'
import { NoStackError, serversOf, type GivenServers } from './servers.ts'
import { UsageError } from './usageError.ts'

/**
 * Exit codes: 0 all rows name the key, 1 some do not, 2 the command was used wrongly or a key is missing, 3 no connection.
 *
 * @param openKeys where the keys are; what it opened is closed at the end
 */
export function rotateCommand(openKeys: (config: Config) => KeyStore | Promise<KeyStore>): Command {
  const command = new Command('rotate')
    .description(
      'Seal card numbers, national IDs and mobiles again with another data key. Safe beside a running switch, and to run again.',
    )
    .requiredOption('--to <key>', 'the key to seal with: data.2')
    .option('--batch <rows>', `rows a statement, 1 to ${ROTATION_BATCH_MAX.toLocaleString('en-US')}`, batch, 500)
    .option('--database <url>', 'where (default: DATABASE_URL, else that of the running stack)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nA key that no row names any more may be destroyed, once the backups from before are gone.' +
        '\nExit codes: 0 all rows name the key, 1 some do not, 2 wrong usage or a key is missing, 3 no connection.',
    )
  command.exitOverride()
  command.action(async (options: RotateCommandOptions) => {
    try {
      const { text, result } = await run(options, openKeys)
      command.configureOutput().writeOut?.(text)
      process.exitCode = result.behind === 0 ? EXIT_DONE : EXIT_BEHIND
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UsageError || error instanceof KeyRefused)
        command.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
      const reason = error instanceof NoStackError || error instanceof KeyStoreFailed ? error.message : connectionReason(error)
      if (reason === undefined) throw error
      command.error(`error: ${reason}`, { exitCode: EXIT_NO_CONNECTION })
    }
  })
  return command
}

const EXIT_DONE = 0
const EXIT_BEHIND = 1
const EXIT_USAGE = 2
const EXIT_NO_CONNECTION = 3

interface RotateCommandOptions extends GivenServers {
  readonly to: string
  readonly batch: number
  readonly json?: true
}

async function run(
  { to, batch, json, ...given }: RotateCommandOptions,
  openKeys: (config: Config) => KeyStore | Promise<KeyStore>,
): Promise<{ text: string; result: RotateResult }> {
  const { databaseUrl, config } = serversOf(given)
  const startedAt = performance.now()
  const keys = await openKeys(config)
  // Where nobody watches it is silent: cli-progress writes to a terminal only.
  const bar = new SingleBar({
    format: 'rotating [{bar}] {percentage}% {value}/{total} rows, {eta} s left',
    stream: process.stderr,
    clearOnComplete: true,
  })
  try {
    bar.start(1, 0)
    const onProgress = ({ looked, total }: { looked: number; total: number }): void => {
      bar.setTotal(total)
      bar.update(looked)
    }
    const result = await rotateDataKey({ databaseUrl, keys, to, batch, onProgress })
    const use = await dataKeyUse(databaseUrl)
    return { result, text: reportText(to, result, use, performance.now() - startedAt, json === true) }
  } finally {
    bar.stop()
    keys.close()
  }
}

function reportText(to: string, result: RotateResult, use: readonly DataKeyUse[], elapsedMs: number, json: boolean): string {
  if (json) return `${JSON.stringify({ to, ...result, use, elapsedMs: Math.round(elapsedMs) })}\n`
  const { rotated, unreadable, behind } = result
  const lines = [`${rotated.toLocaleString('en-US')} rows sealed again with ${to} in ${(elapsedMs / 1000).toFixed(1)} s`]
  if (unreadable > 0)
    lines.push(`${unreadable.toLocaleString('en-US')} rows do not open with the key that they name: they were changed`)
  const written = behind - unreadable
  if (written > 0) lines.push(`${written.toLocaleString('en-US')} rows were written with another key meanwhile: run it again`)
  lines.push(...use.map(({ keyId, rows }) => `${keyId}: ${rows.toLocaleString('en-US')} rows`))
  return lines.join('\n') + '\n'
}

/** What the driver says where it found nobody to talk to, or lost it; undefined for an error of another kind. */
function connectionReason(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error.message.startsWith('Connection terminated')) return 'the database does not answer any more; run it again'
  // Node.js: ECONNREFUSED, ENOTFOUND and the like. PostgreSQL manual, appendix A: 28 who are you, 3D000 no such database, 57P ended or starting up.
  if (!('code' in error) || typeof error.code !== 'string' || !/^(E[A-Z]+|28...|3D000|57P0\d)$/.test(error.code)) return undefined
  return `cannot connect to the database: ${error.message === '' ? error.code : error.message}`
}

function batch(value: string): number {
  const number = Number(value)
  if (!/^\d+$/.test(value) || number < 1 || number > ROTATION_BATCH_MAX)
    throw new InvalidArgumentError(`A whole number from 1 to ${ROTATION_BATCH_MAX.toLocaleString('en-US')}.`)
  return number
}
