/** `sarf terminal` and `sarf merchant`: who may use the switch, and by which way. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../clock.ts'
import { ConfigError, type Config } from '../config.ts'
import { LedgerConnection } from '../ledger/connection.ts'
import {
  changeMerchant,
  changeTerminal,
  readRegistration,
  type MerchantChange,
  type Registration,
  type TerminalChange,
} from '../ledger/registrations.ts'
import { silentLogger } from '../log.ts'
import { NoStackError, serversOf, type GivenServers } from './servers.ts'
import { UsageError } from './usageError.ts'

const EXIT_CODES = '\nExit codes: 0 done, 1 there is no such one or it is out of use for good, 2 wrong usage, 3 no connection.'

const JSON_OPTION = ['--json', 'print one JSON object'] as const

/** Exit codes: see `EXIT_CODES`. */
export function terminalCommand(): Command {
  const command = new Command('terminal').description(
    'Terminals (DE 41): their state, and what their messages must come by. Every process follows within registry.freshMs.',
  )
  const change = (name: string, description: string, how: (options: BindOptions, config: Config) => TerminalChange): Command =>
    subcommand(command, `${name} <terminalId>`, description, async (terminalId, options, config, connection) => {
      if (await changeTerminal(connection, terminalId, how(options, config))) return shown(connection, terminalId, options)
      throw await whyNot(connection, terminalId)
    }).option(...JSON_OPTION)
  subcommand(command, 'show <terminalId>', 'Show state and bindings.', (terminalId, options, _, connection) =>
    shown(connection, terminalId, options),
  ).option(...JSON_OPTION)
  change('suspend', 'Refuse it (58) until it is activated again.', () => ({ state: 'SUSPENDED' }))
  change('activate', 'Let it be used.', () => ({ state: 'ACTIVE' }))
  change('retire', 'Refuse it (58) for good.', () => ({ state: 'RETIRED' }))
  change('bind', 'Accept its messages by one certificate, link or MAC key only; by others they are declined (03).', bindingOf)
    .option('--certificate <file>', 'the client certificate, in PEM', fingerprint)
    .option('--no-certificate', "none of its own: its merchant's, if there is one")
    .option('--link <name>', 'a link of the configuration')
    .option('--no-link', 'any link')
    .option('--mac-key <name>', 'the key that its messages must be authenticated with', keyName)
    .option('--no-mac-key', "the link's key")
  return command
}

export function merchantCommand(): Command {
  const command = new Command('merchant').description(
    'Merchants (DE 42): their state, and the certificate that their terminals are bound to.',
  )
  const change = (name: string, description: string, how: (options: BindOptions) => MerchantChange): Command =>
    subcommand(command, `${name} <merchantId>`, description, async (acceptorId, options, _, connection) => {
      if (await changeMerchant(connection, acceptorId, how(options))) return `merchant ${acceptorId}: done\n`
      throw new Refused(`there is no merchant ${acceptorId}, or it is closed for good`)
    })
  change('suspend', 'Refuse all its terminals (03) until it is activated again.', () => ({ state: 'SUSPENDED' }))
  change('activate', 'Let its terminals be used.', () => ({ state: 'ACTIVE' }))
  change('close', 'Refuse all its terminals (03) for good.', () => ({ state: 'CLOSED' }))
  change('bind', 'Bind all its terminals that have no certificate of their own.', ({ certificate }) => {
    if (certificate === undefined) throw new UsageError('say what to bind it to: --certificate FILE or --no-certificate')
    return { certificate: certificate === false ? null : certificate }
  })
    .option('--certificate <file>', 'the client certificate, in PEM', fingerprint)
    .option('--no-certificate', 'none')
  return command
}

const EXIT_REFUSED = 1
const EXIT_USAGE = 2
const EXIT_NO_CONNECTION = 3
const RECONNECT_MS = 1000

/** There is no such terminal or merchant, or its state is for good. */
class Refused extends Error {
  override readonly name = 'Refused'
}

class NoConnection extends Error {
  override readonly name = 'NoConnection'
}

/** Of which each subcommand has its own; false: `--no-...`. */
interface BindOptions extends GivenServers {
  readonly json?: true
  readonly certificate?: string | false
  readonly link?: string | false
  readonly macKey?: string | false
}

function subcommand(
  parent: Command,
  usage: string,
  description: string,
  work: (id: string, options: BindOptions, config: Config, connection: LedgerConnection) => Promise<string>,
): Command {
  const command = parent
    .command(usage)
    .description(description)
    .option('--database <url>', 'where (default: DATABASE_URL, else that of the running stack)')
    .addHelpText('after', EXIT_CODES)
  // Set on this one too: a wrong option of it would exit 1 otherwise.
  command.exitOverride()
  return command.action(async (id: string, options: BindOptions) => {
    try {
      const text = await connected(options, (config, connection) => work(id, options, config, connection))
      command.configureOutput().writeOut?.(text)
    } catch (error) {
      if (error instanceof Refused) {
        // An error of commander's with code 1 would be taken for wrong usage.
        command.configureOutput().writeErr?.(`error: ${error.message}\n`)
        process.exitCode = EXIT_REFUSED
        return
      }
      const exitCode = exitCodeOf(error)
      if (exitCode === undefined || !(error instanceof Error)) throw error
      command.error(`error: ${error.message}`, { exitCode })
    }
  })
}

function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof ConfigError || error instanceof UsageError) return EXIT_USAGE
  return error instanceof NoConnection || error instanceof NoStackError ? EXIT_NO_CONNECTION : undefined
}

async function connected(
  servers: GivenServers,
  work: (config: Config, connection: LedgerConnection) => Promise<string>,
): Promise<string> {
  const { databaseUrl, config } = serversOf(servers)
  const { statementMs } = config.ledger
  const common = { statementMs, reconnectMs: RECONNECT_MS, clock: systemClock, log: silentLogger }
  const connection = new LedgerConnection({ ...common, url: databaseUrl, name: 'registry' })
  try {
    await connection.open()
    if (!connection.up) throw new NoConnection('cannot connect to the database')
    return await work(config, connection)
  } catch (error) {
    if (error instanceof Error && /^(NotConnected|OutcomeUnknown)$/.test(error.name))
      throw new NoConnection(`the database does not answer any more; look with show what became of it: ${error.message}`)
    throw error
  } finally {
    await connection.close()
  }
}

function bindingOf({ certificate, link, macKey }: BindOptions, { links }: Config): TerminalChange {
  if (certificate === undefined && link === undefined && macKey === undefined)
    throw new UsageError('say what to bind it to: --certificate FILE, --link NAME or --mac-key NAME')
  if (link !== undefined && link !== false && !links.some(({ name }) => name === link))
    throw new UsageError(`there is no link ${link}; there are: ${links.map(({ name }) => name).join(', ')}`)
  return {
    ...(certificate === undefined ? {} : { certificate: certificate === false ? null : certificate }),
    ...(link === undefined ? {} : { link: link === false ? null : link }),
    ...(macKey === undefined ? {} : { macKey: macKey === false ? null : macKey }),
  }
}

async function shown(connection: LedgerConnection, terminalId: string, { json }: BindOptions): Promise<string> {
  const registration = await readRegistration(connection, terminalId)
  if (registration === undefined) throw noSuchTerminal(terminalId)
  return json === true ? `${JSON.stringify(registration)}\n` : textOf(registration)
}

async function whyNot(connection: LedgerConnection, terminalId: string): Promise<Refused> {
  const known = await readRegistration(connection, terminalId)
  return known === undefined ? noSuchTerminal(terminalId) : new Refused(`terminal ${terminalId} is retired for good`)
}

function noSuchTerminal(terminalId: string): Refused {
  return new Refused(`there is no terminal ${terminalId}`)
}

function textOf(registration: Registration): string {
  const { terminalId, state, certificate, merchantCertificate, link, macKey } = registration
  const bound = certificate ?? merchantCertificate
  const of = certificate === null && bound !== null ? " (its merchant's)" : ''
  return [
    `terminal     ${terminalId}, ${registration.class}, ${state}`,
    `merchant     ${registration.acceptorId}, ${registration.merchantName}, ${registration.merchantState}`,
    `certificate  ${bound === null ? 'any, or none' : `SHA-256 ${bound}${of}`}`,
    `link         ${link ?? 'any'}`,
    `MAC key      ${macKey ?? "the link's"}`,
    '',
  ].join('\n')
}

/** @returns what the registry knows a certificate by */
function fingerprint(file: string): string {
  let certificate
  try {
    certificate = new X509Certificate(readFileSync(file))
  } catch (error) {
    throw new InvalidArgumentError(`Not a certificate in PEM: ${error instanceof Error ? error.message : String(error)}.`)
  }
  if (certificate.ca) throw new InvalidArgumentError("This is a CA's certificate; a terminal is bound to a client's.")
  return certificate.fingerprint256.replaceAll(':', '')
}

function keyName(value: string): string {
  if (!/^[\x21-\x7e]{1,64}$/.test(value)) throw new InvalidArgumentError('A name of 1 to 64 characters without spaces.')
  return value
}
