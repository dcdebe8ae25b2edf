/** `sarf token`: a bearer token that a switch outside production takes. */
import { Command, InvalidArgumentError } from 'commander'
import type { Role } from '../admin/access/roles.ts'
import { ConfigError } from '../config.ts'
import { ownToken, roleOf } from './apiClient.ts'
import { UsageError } from './usageError.ts'

interface TokenOptions {
  readonly role: readonly Role[]
  readonly name?: string
  readonly place?: string
  readonly hours: number
}

/** Exit codes: 0 printed, 2 wrong usage. */
export function tokenCommand(): Command {
  const command = new Command('token')
    .description(
      'Print a bearer token of the development issuer, for curl and other programs. In production tokens come from an issuer of your own.',
    )
    .requiredOption('--role <role>', 'what its holder may do; may be given several times', roles)
    .option('--name <name>', 'who it is, as the audit trail names it (default: sarf-cli)', subject)
    .option('--place <placeId>', 'where its holder works: post-03-1', place)
    .option('--hours <hours>', 'how long it is good', hours, 8)
    .addHelpText('after', '\nExit codes: 0 printed, 2 wrong usage.')
  command.action(async ({ role, name, place: at, hours: good }: TokenOptions) => {
    try {
      const token = await ownToken({ roles: role, name, place: at, seconds: Math.round(good * 3600) })
      command.configureOutput().writeOut?.(`${token}\n`)
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof ConfigError)) throw error
      command.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
    }
  })
  return command
}

const EXIT_USAGE = 2

function roles(value: string, before: readonly Role[] | undefined): readonly Role[] {
  return [...(before ?? []), roleOf(value)]
}

/** What the switch takes: see src/admin/access/tokens.ts. */
function subject(value: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._@:-]{0,63}$/.test(value)) throw new InvalidArgumentError('1 to 64 of A-Z a-z 0-9 . _ @ : -.')
  return value
}

function place(value: string): string {
  if (!/^[a-z0-9][a-z0-9-]{1,39}$/.test(value)) throw new InvalidArgumentError('The id of a place: post-03-1.')
  return value
}

function hours(value: string): number {
  const number = Number(value)
  if (!(number > 0 && number <= 24)) throw new InvalidArgumentError('From more than 0 to 24 hours.')
  return number
}
