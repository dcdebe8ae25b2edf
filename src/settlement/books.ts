/**
 * The books as people ask for them: the trial balance of a business day or an instant, the general ledger of a day, the statement of an account. All of it is read up to an
 * event number that is final, so that the same question gets the same answer later, whatever has happened meanwhile.
 */
import { UNIT_EGP } from '../money.ts'
import {
  accountBalanceAt,
  accountLines,
  balancesAt,
  LEDGER_COLUMNS,
  ledgerDays,
  ledgerSelect,
  sumsOf,
  type AccountLine,
  type BookReader,
  type LedgerAccount,
  type LedgerDay,
  type NumberRange,
} from '../ledger/settlement/books.ts'
import { eventNumberBefore } from '../ledger/settlement/days.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import type { Programme, UnitDefinition } from '../programmeParameters.ts'
import { formatUnits } from '../programme/statement.ts'
import { ACCOUNT_CODE } from '../purse/chart.ts'

/** Event numbers a statement: a piece is small enough to be sorted in memory, at Postgres and here. */
const NUMBERS_A_READ = 50_000
/** ISO 4217 has no code for what is counted whole. */
const NO_CURRENCY = '999'

export const NO_SUCH_DAY = refused('not-found', 'no-such-business-day', 'There is no such business day.')

/** Books as of: the end of a business day, or of the one that is open what is final of it; or before an instant. */
export type AsOf = { readonly day: string } | { readonly instantMs: number }

/** A balance is on the side on which there is more; amounts as people read them. */
interface Sides {
  readonly unit: string
  readonly debit: string
  readonly credit: string
}

export interface TrialBalance {
  /** The last event number that is in it. */
  readonly until: number
  readonly accounts: readonly (Sides & { readonly code: number })[]
  /** Debits and credits are equal in each unit. */
  readonly totals: readonly Sides[]
}

export async function trialBalance(
  tx: SqlTransaction,
  { units }: Pick<Programme, 'units'>,
  asOf: AsOf,
): Promise<Outcome<TrialBalance>> {
  const until = 'day' in asOf ? (await ledgerDays(tx, asOf.day, asOf.day))[0]?.until : await eventNumberBefore(tx, asOf.instantMs)
  if (until === undefined) return 'day' in asOf ? NO_SUCH_DAY : notFinalYet()
  const balances = (await balancesAt(tx, until)).filter(({ balance }) => balance !== 0)
  const accounts: (Sides & { code: number })[] = []
  const totals: Sides[] = []
  for (const unit of units) {
    const own = balances.filter((account) => account.unit === unit.number)
    if (own.length === 0) continue
    const sides = (debit: number, credit: number): Sides => {
      return { unit: unit.name, debit: formatUnits(debit, unit), credit: formatUnits(credit, unit) }
    }
    for (const { code, balance } of own) accounts.push({ code, ...sides(Math.max(0, balance), Math.max(0, -balance)) })
    const sum = (sign: 1 | -1): number => own.reduce((all, { balance }) => all + Math.max(0, sign * balance), 0)
    totals.push(sides(sum(1), sum(-1)))
  }
  return done({ until, accounts, totals })
}

function notFinalYet(): Outcome<never> {
  const { refusal } = refused(
    'conflict',
    'not-final-yet',
    'The books are not final up to this instant yet. Ask again in some seconds.',
  )
  return { ok: false, refusal: { ...refusal, retryAfterS: 15 } }
}

export async function ledgerDay(tx: SqlTransaction, day: string): Promise<Outcome<LedgerDay>> {
  const [known] = await ledgerDays(tx, day, day)
  return known === undefined ? NO_SUCH_DAY : done(known)
}

/**
 * Every transfer of a business day as CSV, and a trailer: for each unit `TOTAL` with the number of lines and the sum of amounts, then `END` with the number of lines and the last event
 * number, without which the file is not whole.
 */
export async function* generalLedger(
  reader: BookReader,
  { units }: Pick<Programme, 'units'>,
  { day, ...range }: LedgerDay,
): AsyncGenerator<Buffer | string, void, undefined> {
  const counted = units.filter(({ currency }) => currency === NO_CURRENCY).map(({ number }) => number)
  const sums = new Map<string, { lines: number; amount: number }>()
  yield `${LEDGER_COLUMNS.join(',')}\n`
  for (const piece of piecesOf(range)) {
    yield* reader.csv(ledgerSelect(reader.tx.shard, day, piece, counted))
    for (const { unit, transfers, amount } of await sumsOf(reader.tx, piece)) {
      const sum = sums.get(unit) ?? { lines: 0, amount: 0 }
      sums.set(unit, { lines: sum.lines + transfers, amount: sum.amount + amount })
    }
  }
  let lines = 0
  for (const unit of units) {
    const sum = sums.get(unit.name)
    if (sum === undefined) continue
    lines += sum.lines
    yield `TOTAL,${unit.name},${String(sum.lines)},${formatUnits(sum.amount, unit)}\n`
  }
  yield `END,${day},${String(lines)},${String(range.until)}\n`
}

function* piecesOf({ after, until }: NumberRange): Generator<NumberRange, void, undefined> {
  for (let from = after; from < until; from += NUMBERS_A_READ)
    yield { after: from, until: Math.min(until, from + NUMBERS_A_READ) }
}

export interface StatementAsked {
  readonly code: number
  readonly owner: number
  /** Name of a unit. */
  readonly unit: string
  readonly from: string
  readonly to: string
}

/** An account and the days that can be told of it. */
export interface AccountStatement extends StatementAsked {
  readonly account: LedgerAccount
  readonly definition: UnitDefinition
  readonly days: readonly LedgerDay[]
  /** Debits less credits before the first day, whole minor units. */
  readonly opening: number
}

export async function accountStatement(
  tx: SqlTransaction,
  { units, purses }: Pick<Programme, 'units' | 'purses'>,
  asked: StatementAsked,
): Promise<Outcome<AccountStatement>> {
  const { code, owner, unit, from, to } = asked
  if (to < from) return refused('invalid', 'days-in-order', 'The last day of a period is not before its first.', 'to')
  const definition = units.find(({ name }) => name === unit)
  if (definition === undefined)
    return refused('invalid', 'no-such-unit', `There are ${units.map(({ name }) => name).join(', ')}.`, 'unit')
  if (purses.some(({ account, heldAccount }) => account === code || heldAccount === code))
    return refused(
      'invalid',
      'account-of-purses',
      'What a purse holds is told by its own statement: GET /v1/persons/{personId}/statement, GET /v1/households/{householdId}/statement.',
      'code',
    )
  if (!isAccount(code, owner))
    return refused(
      'invalid',
      'no-such-account',
      'The chart has no such account: 22xx are of a merchant, 1010 of a machine, all others have the owner 0.',
      'code',
    )
  if (definition.number !== UNIT_EGP && (code === ACCOUNT_CODE.atmCash || (code >= 2200 && code <= 2299)))
    return refused('invalid', 'no-such-account', 'Outlets and machines have accounts in EGP only.', 'unit')
  const days = await ledgerDays(tx, from, to)
  const [first] = days
  if (first === undefined) return NO_SUCH_DAY
  const account = { code, owner, unit: definition.number }
  return done({ ...asked, account, definition, days, opening: await accountBalanceAt(tx, account, first.after) })
}

/** It is in the chart (spec/ledger.md), and that owner can have it. */
function isAccount(code: number, owner: number): boolean {
  if (code === ACCOUNT_CODE.atmCash || (code >= 2200 && code <= 2299)) return owner > 0
  return owner === 0 && (SINGLE.includes(code) || (code >= 1200 && code <= 1299) || (code >= 9000 && code <= 9003))
}

const SINGLE: readonly number[] = [ACCOUNT_CODE.bank, ACCOUNT_CODE.deferredFees, ACCOUNT_CODE.suspense, ACCOUNT_CODE.feeIncome]

/** A movement of an account; amounts as people read them. */
export interface StatementLine {
  readonly eventNumber: number
  readonly businessDay: string
  readonly ownDate: string | null
  readonly kind: string
  readonly otherAccount: number
  readonly otherOwner: number
  readonly debit: string | null
  readonly credit: string | null
  /** Debits less credits after it. */
  readonly balance: string
  readonly reference: string | null
  readonly terminal: string | null
  readonly merchant: string | null
}

/** Movements piece by piece. @returns the balance after the last one */
export async function* statementLines(
  reader: BookReader,
  { account, definition, days, opening }: AccountStatement,
): AsyncGenerator<StatementLine[], number, undefined> {
  let balance = opening
  for (const { day, ...range } of days)
    for (const piece of piecesOf(range)) {
      const lines = await accountLines(reader.tx, account, piece)
      if (lines.length === 0) continue
      yield lines.map((line) => {
        balance += line.moved
        return lineOf(line, day, balance, definition)
      })
    }
  return balance
}

function lineOf(line: AccountLine, businessDay: string, balance: number, unit: UnitDefinition): StatementLine {
  const { number, moved, otherCode, otherOwner, ...same } = line
  return {
    ...{ eventNumber: number, businessDay, ...same, otherAccount: otherCode, otherOwner },
    debit: moved > 0 ? formatUnits(moved, unit) : null,
    credit: moved < 0 ? formatUnits(-moved, unit) : null,
    balance: formatUnits(balance, unit),
  }
}
