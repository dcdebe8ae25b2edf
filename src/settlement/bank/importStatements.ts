/**
 * A file of the bank's statements is taken: all of it or nothing. What it holds already is left alone, so that the same file may come again; what is missing before it, and what is
 * another statement of the same name, is refused. Large ones have as many entries as a run has payouts, and events wait for every SQL transaction that is open: so entries are put down
 * in pieces, which nobody sees, and taken all at once in a short SQL transaction; then they are matched (matchStatement.ts). Cut short, it goes on when the file is sent again.
 */
import { setImmediate as othersTurn } from 'node:timers/promises'
import { done, refused, type Actor, type Desk, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import { addEntries, beginArrival, countEntriesOf, moveArrival, readArrival } from '../../ledger/settlement/bankArrivals.ts'
import {
  addStatement,
  knowsEntries,
  lastStatement,
  lockBankAccount,
  readStatement,
  type StoredStatement,
} from '../../ledger/settlement/bankStatements.ts'
import { assert } from '../../assert.ts'
import { errorText } from '../../log.ts'
import { readCamt053 } from './camt053.ts'
import type { MatchContext } from './expectations.ts'
import { matchStatements } from './matchStatement.ts'
import { BadFile, checkStatement, fingerprintOfStatement, type BankStatement, type FileLimits } from './statement.ts'
import { readStatementCsv } from './statementCsv.ts'

export type StatementFormat = 'camt.053' | 'csv'

/** Reads and checks a file. Nothing is stored. @throws what reading the bytes throws */
export async function readStatementFile(
  format: StatementFormat,
  bytes: AsyncIterable<Uint8Array>,
  limits: FileLimits & { readonly accounts: readonly string[] },
): Promise<Outcome<readonly BankStatement[]>> {
  try {
    const slices = inSlices(bytes)
    const statements = await (format === 'csv' ? readStatementCsv(slices, limits) : readCamt053(slices, limits))
    for (const [index, statement] of statements.entries()) {
      const checked = checkStatement(statement, index + 1, limits.accounts)
      if (!checked.ok) return checked
    }
    return done(statements)
  } catch (error) {
    if (error instanceof BadFile) return { ok: false, refusal: error.refusal }
    throw error
  }
}

const SLICE_BYTES = 8192

/** Reading a large file takes seconds, and what comes in at the same process meanwhile, authorizations too, gets its turn after each few milliseconds of it. */
async function* inSlices(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes)
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      yield chunk.subarray(at, at + SLICE_BYTES)
      await othersTurn()
    }
}

export interface ImportAsked {
  readonly actor: Actor
  readonly statements: readonly BankStatement[]
  /** Why they are taken although one before them is missing; absent: they are not. */
  readonly forcedBecause?: string | undefined
  /** What the audit trail keeps of it. */
  readonly detail: Readonly<Record<string, unknown>>
}

export interface ImportedStatement {
  readonly statement: StoredStatement
  /** It was there already. */
  readonly known: boolean
  readonly matched: number
  readonly open: number
}

export interface Imported {
  readonly statements: readonly ImportedStatement[]
  /** Something was taken, which is on record. */
  readonly taken: boolean
}

interface Arriving {
  readonly statement: BankStatement
  readonly fingerprint: string
}

/** Events wait for a SQL transaction that writes: it has to be over in a few tenths of a second. */
const ENTRIES_A_TIME = 2000

/** @returns with `onRecord` a refusal that the audit trail has @throws like Desk.run; what was put down stays for the next try */
export async function importStatements(
  desk: Pick<Desk, 'read' | 'run' | 'upkeep'>,
  context: MatchContext,
  asked: ImportAsked,
): Promise<Outcome<Imported> & { readonly onRecord?: true }> {
  const { statements } = asked
  const told = statements.map((statement) => ({ statement, fingerprint: fingerprintOfStatement(statement) }))
  const begun = await desk.upkeep((tx) => beginAll(tx, asked, told))
  if (!begun.ok) return begun
  for (const one of begun.value) await putDown(desk, one)
  const known = new Set<BankStatement>()
  const taken =
    begun.value.length === 0 ? done(await desk.read((tx) => allOf(tx, told))) : await takeAll(desk, asked, told, known)
  if (!taken.ok) return { ...taken, onRecord: true }
  const isKnown = (statement: BankStatement): boolean => begun.value.length === 0 || known.has(statement)
  // It is taken, whatever becomes of the rest: the job goes on.
  await matchStatements(desk, context, { accounts: accountsOf(statements) }).catch((error: unknown) => {
    context.log.warn({ error: errorText(error) }, 'statements are taken and not all matched; that is left to a job')
  })
  const imported: ImportedStatement[] = []
  for (const [index, stored] of taken.value.entries()) {
    const statement = statements[index]
    assert(statement !== undefined, 'every statement that is taken was in the file')
    const counts = isKnown(statement) ? { matched: 0, open: 0 } : await desk.read((tx) => countEntriesOf(tx, stored))
    imported.push({ statement: stored, known: isKnown(statement), ...counts })
  }
  return done({ statements: imported, taken: imported.some((one) => !one.known) })
}

function accountsOf(statements: readonly BankStatement[]): string[] {
  return [...new Set(statements.map(({ account }) => account))].sort()
}

/** @returns those that are not taken yet */
async function beginAll(
  tx: SqlTransaction,
  asked: ImportAsked,
  told: readonly Arriving[],
): Promise<Outcome<readonly Arriving[]>> {
  for (const account of accountsOf(asked.statements)) await lockBankAccount(tx, account)
  const arriving: Arriving[] = []
  const last = new Map<string, BankStatement>()
  const names = new Set<string>()
  for (const [index, one] of told.entries()) {
    const { statement } = one
    const checked = await follows(tx, asked, one, index + 1, last.get(statement.account))
    if (!checked.ok) return checked
    const name = JSON.stringify([statement.account, statement.statementId])
    if (checked.value.known === undefined && names.has(name)) return anotherStatement(index + 1)
    names.add(name)
    last.set(statement.account, statement)
    if (checked.value.known === undefined) arriving.push(one)
  }
  for (const { statement, fingerprint } of arriving) await beginArrival(tx, statement, fingerprint, asked.actor.name)
  return done(arriving)
}

interface Follows {
  /** It was taken before. */
  readonly known: StoredStatement | undefined
  readonly follows: boolean
}

/** @param before the statement before it in the same file, of the same account, which is not taken yet */
async function follows(
  tx: SqlTransaction,
  { forcedBecause }: ImportAsked,
  { statement, fingerprint }: Arriving,
  position: number,
  before?: BankStatement,
): Promise<Outcome<Follows>> {
  const known = await readStatement(tx, statement.account, statement.statementId)
  if (known !== undefined) return known.fingerprint === fingerprint ? done({ known, follows: true }) : anotherStatement(position)
  if (before?.statementId === statement.statementId) return anotherStatement(position)
  const last = before ?? (await lastStatement(tx, statement.account))
  const fits =
    last === undefined || (last.closing === statement.opening && statement.from >= last.from && statement.until >= last.until)
  if (!fits && forcedBecause === undefined) return statementMissing(position)
  if (forcedBecause === undefined && (await knowsEntries(tx, statement))) return entriesTaken(position)
  return done({ known, follows: fits })
}

/** Puts down the entries that are not there yet; at two processes each puts down the next piece. */
async function putDown(desk: Pick<Desk, 'upkeep'>, { statement, fingerprint }: Arriving): Promise<void> {
  for (let more = true; more;)
    more = await desk.upkeep(async (tx) => {
      await lockBankAccount(tx, statement.account)
      const arrival = await readArrival(tx, statement)
      if (arrival?.phase !== 'arriving' || arrival.fingerprint !== fingerprint) return false
      const entries = statement.entries.slice(arrival.reached, arrival.reached + ENTRIES_A_TIME)
      if (entries.length === 0) return false
      await addEntries(tx, arrival, entries)
      await moveArrival(tx, arrival, 'arriving', arrival.reached + entries.length)
      return true
    })
}

/** All of the file is there from now on. @param known is given those that are there already, of somebody who was faster */
function takeAll(
  desk: Pick<Desk, 'run'>,
  asked: ImportAsked,
  told: readonly Arriving[],
  known: Set<BankStatement>,
): Promise<Outcome<readonly StoredStatement[]>> {
  const { actor, statements, forcedBecause } = asked
  return desk.run({
    actor,
    action: 'bank.import',
    subject: 'bank-statements',
    detail: asked.detail,
    work: async (tx) => {
      known.clear()
      for (const account of accountsOf(statements)) await lockBankAccount(tx, account)
      const stored: StoredStatement[] = []
      for (const [index, one] of told.entries()) {
        const { statement, fingerprint } = one
        const checked = await follows(tx, asked, one, index + 1)
        if (!checked.ok) return checked
        if (checked.value.known !== undefined) {
          known.add(statement)
          stored.push(checked.value.known)
          continue
        }
        const arrival = await readArrival(tx, statement)
        // Of a third file the first may have begun anew.
        if (arrival?.fingerprint !== fingerprint || arrival.reached !== statement.entries.length)
          return anotherMeanwhile(index + 1)
        const { account, statementId, from, until, opening, closing, entries, counted } = statement
        const facts = {
          ...{ account, statementId, from, until, opening, closing, fingerprint },
          ...{ entries: entries.length, credits: counted.credits, debits: counted.debits },
          ...{ importedBy: actor.name, note: checked.value.follows ? null : (forcedBecause ?? null) },
        }
        const added = await addStatement(tx, facts, arrival.arrival)
        assert(added !== undefined, 'a statement that is added is there')
        await moveArrival(tx, arrival, 'named', 0)
        stored.push(added)
      }
      return done(stored)
    },
    audit: (stored) => ({
      detail: {
        statements: stored.map(({ account, statementId }, index) => {
          const statement = statements[index]
          return { account, statementId, known: statement !== undefined && known.has(statement) }
        }),
      },
    }),
  })
}

async function allOf(tx: SqlTransaction, told: readonly Arriving[]): Promise<readonly StoredStatement[]> {
  const stored: StoredStatement[] = []
  for (const { statement } of told) {
    const one = await readStatement(tx, statement.account, statement.statementId)
    assert(one !== undefined, 'a statement does not go away')
    stored.push(one)
  }
  return stored
}

function anotherMeanwhile(position: number): Outcome<never> {
  return refused(
    'conflict',
    'taken-meanwhile',
    `Somebody else is taking another file with the identification of statement ${String(position)} at the same time. Nothing was taken; ask which is right.`,
  )
}

function anotherStatement(position: number): Outcome<never> {
  return refused(
    'conflict',
    'statement-id-reused',
    `Statement ${String(position)} has the identification of one that was taken before, and is another one. Ask the bank which is right.`,
  )
}

function entriesTaken(position: number): Outcome<never> {
  return refused(
    'conflict',
    'entries-taken',
    `Statement ${String(position)} has entries that were taken with another statement of its account: the bank's references, days and amounts are the same. Ask the bank; where they are others all the same, say why.`,
  )
}

function statementMissing(position: number): Outcome<never> {
  return refused(
    'conflict',
    'statement-missing',
    `Statement ${String(position)} does not begin where the last one of its account ended: one before it is missing, or it is late. Import that first; where there is none, say why (force and note).`,
  )
}
