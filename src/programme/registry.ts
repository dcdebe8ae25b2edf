/** Merchants and terminals are registered and changed. Each in one SQL transaction with its event; processes follow within `registry.freshMs`. */
import { addMerchant, lockMerchant, writeMerchant, type RegisteredMerchant } from '../ledger/programme/merchants.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { addTerminal, lockTerminal, readTerminal, writeTerminal, type RegisteredTerminal } from '../ledger/programme/terminals.ts'
import type { Programme } from '../programmeParameters.ts'

export const NO_SUCH_MERCHANT = refused('not-found', 'no-such-merchant', 'The programme has no such merchant.')
export const NO_SUCH_TERMINAL = refused('not-found', 'no-such-terminal', 'The programme has no such terminal.')

export type MerchantChange = Partial<Omit<RegisteredMerchant, 'acceptorId' | 'version'>>
export type TerminalChange = Partial<Omit<RegisteredTerminal, 'terminalId' | 'acceptorId' | 'class' | 'version'>>

export async function registerMerchant(
  tx: SqlTransaction,
  merchant: Omit<RegisteredMerchant, 'state' | 'version'>,
): Promise<Outcome<RegisteredMerchant>> {
  const added = await addMerchant(tx, merchant)
  if (added === undefined)
    return refused('conflict', 'merchant-exists', 'There is a merchant with this DE 42 already.', '/acceptorId')
  await tellMerchant(tx, added, Object.keys(merchant))
  return done(added)
}

/** @param seen the version that the caller has seen; absent: whichever it is */
export async function changeMerchant(
  tx: SqlTransaction,
  acceptorId: string,
  change: MerchantChange,
  seen: number | undefined,
): Promise<Outcome<RegisteredMerchant>> {
  const merchant = await lockMerchant(tx, acceptorId)
  if (merchant === undefined) return NO_SUCH_MERCHANT
  if (seen !== undefined && seen !== merchant.version) return stale('merchant', merchant.version)
  if (merchant.state === 'CLOSED') return refused('conflict', 'merchant-closed', 'The merchant is closed for good.')
  const written = await writeMerchant(tx, { ...merchant, ...change })
  if (written === undefined) return NO_SUCH_MERCHANT
  await tellMerchant(tx, written, Object.keys(change))
  return done(written)
}

/** What a terminal may be bound to, and which classes there are. */
export interface TerminalSurroundings {
  readonly programme: Programme
  readonly links: readonly { readonly name: string }[]
}

export async function registerTerminal(
  tx: SqlTransaction,
  terminal: Omit<RegisteredTerminal, 'state' | 'version'>,
  around: TerminalSurroundings,
): Promise<Outcome<RegisteredTerminal>> {
  const classes = terminalClasses(around.programme)
  if (!classes.includes(terminal.class))
    return refused('invalid', 'no-such-class', `No rule names this class; there are ${classes.join(', ')}.`, '/class')
  const wrong = wrongLink(terminal.link, around)
  if (wrong !== undefined) return wrong
  // Locked: it cannot be closed meanwhile.
  const merchant = await lockMerchant(tx, terminal.acceptorId)
  if (merchant === undefined)
    return refused('invalid', 'no-such-merchant', 'The programme has no merchant with this DE 42.', '/acceptorId')
  if (merchant.state === 'CLOSED')
    return refused('conflict', 'merchant-closed', 'The merchant is closed for good.', '/acceptorId')
  if (!(await addTerminal(tx, terminal)))
    return refused('conflict', 'terminal-exists', 'There is a terminal with this DE 41 already.', '/terminalId')
  return told(tx, terminal.terminalId, Object.keys(terminal))
}

/** @param seen the version that the caller has seen; absent: whichever it is */
export async function changeTerminal(
  tx: SqlTransaction,
  terminalId: string,
  change: TerminalChange,
  seen: number | undefined,
  around: TerminalSurroundings,
): Promise<Outcome<RegisteredTerminal>> {
  const terminal = await lockTerminal(tx, terminalId)
  if (terminal === undefined) return NO_SUCH_TERMINAL
  if (seen !== undefined && seen !== terminal.version) return stale('terminal', terminal.version)
  if (terminal.state === 'RETIRED') return refused('conflict', 'terminal-retired', 'The terminal is retired for good.')
  const wrong = wrongLink(change.link, around)
  if (wrong !== undefined) return wrong
  await writeTerminal(tx, { ...terminal, ...change })
  return told(tx, terminalId, Object.keys(change))
}

/** Every class that the rules of any day name. */
function terminalClasses({ versions }: Programme): string[] {
  return [...new Set(versions.flatMap(({ routes }) => routes.flatMap((route) => route.terminalClasses)))].sort()
}

function wrongLink(link: string | null | undefined, { links }: TerminalSurroundings): Outcome<never> | undefined {
  if (link === null || link === undefined || links.some(({ name }) => name === link)) return undefined
  const known = links.map(({ name }) => name).join(', ')
  return refused('invalid', 'no-such-link', `The configuration has no such link; there are ${known}.`, '/link')
}

function stale(what: string, version: number): Outcome<never> {
  return refused(
    'stale',
    `${what}-changed`,
    `The ${what} was changed meanwhile: it is at version ${String(version)}. Look again.`,
  )
}

async function told(tx: SqlTransaction, terminalId: string, changed: readonly string[]): Promise<Outcome<RegisteredTerminal>> {
  const terminal = await readTerminal(tx, terminalId)
  if (terminal === undefined) return NO_SUCH_TERMINAL
  const { acceptorId, state, version } = terminal
  await tx.emit({ kind: 'terminal.changed', data: { terminalId, acceptorId, state, version, changed } })
  return done(terminal)
}

async function tellMerchant(tx: SqlTransaction, merchant: RegisteredMerchant, changed: readonly string[]): Promise<void> {
  const { acceptorId, state, version } = merchant
  await tx.emit({ kind: 'merchant.changed', data: { acceptorId, state, version, changed } })
}
