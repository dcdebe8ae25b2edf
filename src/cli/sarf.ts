/** The `sarf` command: `npm run -s sarf -- COMMAND`. */
import { Command, CommanderError } from 'commander'

/** Each is loaded only when it is asked for: what sends one message need not load a database driver. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  send: async () => (await import('./send.ts')).sendCommand(),
  decode: async () => (await import('./decode.ts')).decodeCommand(),
  seed: async () => (await import('./seed.ts')).seedCommand(),
  routes: async () => (await import('./routes.ts')).routesCommand(),
  audit: async () => (await import('./audit.ts')).auditCommand(),
  standin: async () => (await import('./standin.ts')).standinCommand(),
  cycle: async () => (await import('./cycle.ts')).cycleCommand(),
  settle: async () => (await import('./settle.ts')).settleCommand(),
  day: async () => (await import('./day.ts')).dayCommand(),
  card: async () => (await import('./card.ts')).cardCommand(),
  household: async () => (await import('./household.ts')).householdCommand(),
  books: async () => (await import('./books.ts')).booksCommand(),
  dispute: async () => (await import('./dispute.ts')).disputeCommand(),
  bank: async () => (await import('./bank.ts')).bankCommand(),
  claims: async () => (await import('./claims.ts')).claimsCommand(),
  atm: async () => (await import('./atm.ts')).atmCommand(),
  suspense: async () => (await import('./suspense.ts')).suspenseCommand(),
  token: async () => (await import('./token.ts')).tokenCommand(),
  keys: async () => (await import('./keys.ts')).keysCommand(),
  terminal: async () => (await import('./terminal.ts')).terminalCommand(),
  merchant: async () => (await import('./terminal.ts')).merchantCommand(),
}

const EXIT_USAGE = 2

await main(process.argv.slice(2))

/** A card id may begin with a hyphen (base64url), and is no option then: it goes to the end, behind `--`. */
function withPositionalIds(given: readonly string[]): string[] {
  const isId = (text: string, index: number): boolean =>
    /^-[A-Za-z0-9_][A-Za-z0-9_-]{20}$/.test(text) && given[index - 1]?.startsWith('--') !== true
  const ids = given.filter(isId)
  return ids.length === 0 ? [...given] : [...given.filter((text, index) => !isId(text, index)), '--', ...ids]
}

async function main(given: string[]): Promise<void> {
  const program = new Command('sarf')
    .description('Tools of the sarf authorization switch.')
    .usage('COMMAND [options]')
    .showHelpAfterError('(--help shows what can be given)')
  const named = COMMANDS[given[0] ?? '']
  for (const load of named === undefined ? Object.values(COMMANDS) : [named]) program.addCommand(await load())
  // Without this a wrong option would exit 1, which means "declined" or "not clean" to a script.
  for (const command of [program, ...program.commands]) command.exitOverride()
  try {
    await program.parseAsync(withPositionalIds(given), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Commander's own errors carry 1, ours their own code; help carries 0 where it was asked for.
    process.exitCode = error.exitCode === 1 ? EXIT_USAGE : error.exitCode
  }
}
