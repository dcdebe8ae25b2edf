/**
 * A file of the bank's statements is taken: all of it or nothing, in one SQL transaction. What it holds already is left alone, so that the same file may come again; what is
 * missing before it, and what is another statement of the same name, is refused. Entries that are expected are matched at once; the others are the work list.
 */
import { done, refused, type Actor, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import {
  addEntries,
  addMatches,
  addOpenEntries,
  addStatement,
  knowsEntries,
  lastStatement,
  lockBankAccount,
  readStatement,
  type EntryMatch,
  type OpenEntry,
  type StoredStatement,
} from '../../ledger/settlement/bankStatements.ts'
import { assert } from '../../assert.ts'
import { takeReceipt } from '../claims.ts'
import type { PayoutBook, PayoutTold } from '../payoutBook.ts'
import { readCamt053 } from './camt053.ts'
import { claimOfName, expectationsFor, withNamedReferences, type MatchLimits } from './expectations.ts'
import { matchEntries, type Expectation } from './matching.ts'
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
    const statements = await (format === 'csv' ? readStatementCsv(bytes, limits) : readCamt053(bytes, limits))
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

export interface ImportContext {
  readonly payouts: PayoutBook
  readonly limits: MatchLimits
}

export interface ImportAsked {
  readonly actor: Actor
  readonly statements: readonly BankStatement[]
  /** Why they are taken although one before them is missing; absent: they are not. */
  readonly forcedBecause?: string | undefined
}

export interface ImportedStatement {
  readonly statement: StoredStatement
  /** It was there already. */
  readonly known: boolean
  readonly matched: number
  readonly open: number
}

export async function importStatements(
  tx: SqlTransaction,
  context: ImportContext,
  { actor, statements, forcedBecause }: ImportAsked,
): Promise<Outcome<ImportedStatement[]>> {
  for (const account of [...new Set(statements.map((statement) => statement.account))].sort()) await lockBankAccount(tx, account)
  const imported: ImportedStatement[] = []
  for (const [index, statement] of statements.entries()) {
    const fingerprint = fingerprintOfStatement(statement)
    const before = await readStatement(tx, statement.account, statement.statementId)
    if (before !== undefined) {
      if (before.fingerprint !== fingerprint) return anotherStatement(index + 1)
      imported.push({ statement: before, known: true, matched: 0, open: 0 })
      continue
    }
    const last = await lastStatement(tx, statement.account)
    const follows =
      last === undefined || (last.closing === statement.opening && statement.from >= last.from && statement.until >= last.until)
    if (!follows && forcedBecause === undefined) return statementMissing(index + 1)
    if (forcedBecause === undefined && (await knowsEntries(tx, statement))) return entriesTaken(index + 1)
    const { account, statementId, from, until, opening, closing, entries, counted } = statement
    const stored = await addStatement(tx, {
      ...{ account, statementId, from, until, opening, closing, fingerprint },
      ...{ entries: entries.length, credits: counted.credits, debits: counted.debits },
      ...{ importedBy: actor.name, note: follows ? null : (forcedBecause ?? null) },
    })
    assert(stored !== undefined, 'a statement that is added is there')
    const counts = await takeEntries(tx, context, actor, statement)
    if (!counts.ok) return counts
    await tx.emit({ kind: 'bank.statement_imported', data: { account, statementId, entries: entries.length, ...counts.value } })
    imported.push({ statement: stored, known: false, ...counts.value })
  }
  return done(imported)
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

/** The key of an entry's posting, whatever it is posted to. */
export function entryKey({ account, statementId, ordinal }: { account: string; statementId: string; ordinal: number }): string {
  return `bank|${account}|${statementId}|${String(ordinal)}`
}

async function takeEntries(
  tx: SqlTransaction,
  context: ImportContext,
  actor: Actor,
  statement: BankStatement,
): Promise<Outcome<{ matched: number; open: number }>> {
  const { account, statementId } = statement
  const ids = await addEntries(tx, statement, statement.entries)
  assert(ids.length === statement.entries.length, 'every entry has an id')
  const named = statement.entries.map(withNamedReferences)
  const { expectations, settled: settledBefore } = await expectationsFor(tx, context.payouts, context.limits, named)
  const open: OpenEntry[] = []
  const found: Found[] = []
  for (const [index, match] of matchEntries(named, expectations, settledBefore).entries()) {
    const entryId = ids[index]
    const entry = named[index]
    assert(entryId !== undefined && entry !== undefined, 'every match has its entry')
    if (match.expectation === null) open.push({ entryId, reason: match.reason })
    else {
      const { bookedOn, valueOn, amount, returnReason } = entry
      const key = entryKey({ account, statementId, ordinal: index + 1 })
      const told = { key, amount, valueOn: valueOn ?? bookedOn, returnReason, madeBy: actor.name }
      found.push({ entryId, ...told, expectation: match.expectation, by: match.by })
    }
  }
  const settled = await settle(tx, context.payouts, found)
  for (const { entryId } of found) if (!settled.has(entryId)) open.push({ entryId, reason: 'amount-differs' })
  const matches = found.flatMap(({ entryId, expectation, by }): EntryMatch[] =>
    settled.has(entryId) ? [{ entryId, kind: expectation.kind, what: expectation.what, matchedBy: by }] : [],
  )
  if ((await addMatches(tx, matches)).size !== matches.length)
    return refused(
      'conflict',
      'matched-meanwhile',
      'Something in it was matched by somebody else at the same time. Nothing was taken; send it again.',
    )
  await addOpenEntries(tx, open)
  return done({ matched: matches.length, open: open.length })
}

interface Found {
  readonly entryId: number
  readonly key: string
  readonly amount: number
  readonly valueOn: string
  readonly returnReason: string | null
  readonly madeBy: string
  readonly expectation: Expectation
  readonly by: 'reference' | 'amount'
}

/** Posts what follows. @returns the entries for which that could be done */
async function settle(tx: SqlTransaction, payouts: PayoutBook, found: readonly Found[]): Promise<ReadonlySet<number>> {
  const of = (kind: Expectation['kind']): readonly Found[] => found.filter(({ expectation }) => expectation.kind === kind)
  const told = ({ amount, valueOn, madeBy, returnReason, expectation }: Found): PayoutTold => ({
    ...{ reference: expectation.what, amount, valueOn, madeBy, reason: returnReason },
  })
  const paid = of('payout')
  const back = of('payout-return')
  // One that is paid and comes back in the same statement is paid first.
  const confirmed = paid.length === 0 ? new Set() : await payouts.confirm(tx, paid.map(told))
  const returned = back.length === 0 ? new Set() : await payouts.takeBack(tx, back.map(told))
  const settled = new Set([...of('deposits'), ...of('atm-load')].map(({ entryId }) => entryId))
  for (const { entryId, expectation } of paid) if (confirmed.has(expectation.what)) settled.add(entryId)
  for (const { entryId, expectation } of back) if (returned.has(expectation.what)) settled.add(entryId)
  const byPayer = [...of('claims')].sort((a, b) => (a.expectation.what < b.expectation.what ? -1 : 1))
  for (const { entryId, key, amount, valueOn, madeBy, expectation } of byPayer) {
    const receipt = { key, ...claimOfName(expectation.what), amount, receivedOn: valueOn, madeBy, note: null }
    const taken = await takeReceipt(tx, { ...receipt, reference: expectation.references[0] ?? null })
    if (taken.ok) settled.add(entryId)
  }
  return settled
}
