/**
 * A bank statement as a file tells it, whatever its format, and the checks that it has to pass before anything of it is stored: what it says adds up, and
 * nothing of it is missing. Amounts are whole piasters.
 */
import { createHash } from 'node:crypto'
import { done, refused, type Outcome, type Refusal } from '../../ledger/programme/desk.ts'
import type { StatementEntry } from '../../ledger/settlement/bankStatements.ts'

export type { StatementEntry } from '../../ledger/settlement/bankStatements.ts'

/** What a file says about its own entries; absent: it says nothing. */
export interface StatedTotals {
  readonly entries?: number
  readonly sum?: number
  readonly net?: number
  readonly creditEntries?: number
  readonly credits?: number
  readonly debitEntries?: number
  readonly debits?: number
}

export interface BankStatement {
  readonly account: string
  readonly statementId: string
  readonly from: string
  readonly until: string
  readonly opening: number
  readonly closing: number
  readonly entries: readonly StatementEntry[]
  /** Of what the file calls an entry: one with several payments in it is one. */
  readonly counted: Required<StatedTotals>
  readonly stated: StatedTotals
}

export interface FileLimits {
  readonly fileBytesMax: number
  readonly entriesMax: number
}

/** Thrown by parsers where the file cannot be read; becomes a refusal of the whole file. */
export class BadFile extends Error {
  override readonly name = 'BadFile'
  readonly refusal: Refusal

  constructor(name: string, detail: string) {
    super(name)
    this.refusal = { kind: 'invalid', name, detail }
  }
}

export const TOO_LARGE = 'file-too-large'

/** What cannot be compared exactly is not taken. */
const DIGITS_MAX = 13

/**
 * An amount as files write it, without a sign.
 *
 * @param where for people: `statement 1, entry 3`
 * @throws BadFile
 */
export function piastersOf(text: string, where: string): number {
  const [, whole, decimals = ''] = /^(\d+)(?:\.(\d*))?$/.exec(text.trim()) ?? []
  if (whole === undefined)
    throw new BadFile('not-an-amount', `${where}: an amount is written with digits and a point, without a sign.`)
  if (decimals.length > 2) throw new BadFile('too-many-decimals', `${where}: an amount has at most two decimals.`)
  if (whole.replace(/^0+/, '').length > DIGITS_MAX) throw new BadFile('not-an-amount', `${where}: the amount is too large.`)
  return Number(whole) * 100 + Number(decimals.padEnd(2, '0'))
}

/** A day that there is, out of a date or a time. @throws BadFile */
export function dayIn(text: string, where: string): string {
  const day = text.trim().slice(0, 10)
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(day) && day >= '2000' ? Date.parse(`${day}T00:00:00Z`) : NaN
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== day)
    throw new BadFile('not-a-date', `${where}: a date is written YYYY-MM-DD.`)
  return day
}

/** Text to be stored: without what cannot be shown, and not longer than ISO 20022 has it. */
export function storedText(text: string | undefined, lengthMax: number): string | null {
  const clean = (text ?? '').replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').trim()
  return clean === '' ? null : Array.from(clean).slice(0, lengthMax).join('')
}

const LONG_NUMBER = /[0-9\u0660-\u0669\u06f0-\u06f9]{10,}/g
const LAST_SHOWN = 4

/** What people write, for people: a long number in it may be a card's, or somebody's mobile or national ID, which are stored nowhere in the clear. */
export function freeText(text: string | undefined, lengthMax: number): string | null {
  const masked = (digits: string): string => '*'.repeat(digits.length - LAST_SHOWN) + digits.slice(-LAST_SHOWN)
  return storedText(text, lengthMax)?.replaceAll(LONG_NUMBER, masked) ?? null
}

/** What becomes of entries, added up. */
export function countEntries(entries: readonly Pick<StatementEntry, 'credit' | 'amount'>[]): Required<StatedTotals> {
  const of = (credit: boolean): readonly number[] =>
    entries.filter((entry) => entry.credit === credit).map(({ amount }) => amount)
  const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0)
  const [credits, debits] = [sum(of(true)), sum(of(false))]
  return {
    entries: entries.length,
    sum: credits + debits,
    net: credits - debits,
    creditEntries: of(true).length,
    credits,
    debitEntries: of(false).length,
    debits,
  }
}

const SAID: Readonly<Record<keyof StatedTotals, string>> = {
  entries: 'number of entries',
  sum: 'sum of all entries',
  net: 'net of all entries',
  creditEntries: 'number of credits',
  credits: 'sum of credits',
  debitEntries: 'number of debits',
  debits: 'sum of debits',
}

/** What a statement proves by itself. @param position of the statement in its file, from 1 on @param accounts that are ours */
export function checkStatement(statement: BankStatement, position: number, accounts: readonly string[]): Outcome<undefined> {
  const where = `Statement ${String(position)}`
  const { account, from, until, opening, closing, counted, stated, entries } = statement
  if (!accounts.includes(account))
    return refused('invalid', 'unknown-account', `${where} is of an account that is not in settlement.bank.accounts.`)
  if (until < from) return refused('invalid', 'wrong-period', `${where} ends before it begins.`)
  if (!Number.isSafeInteger(counted.sum) || !Number.isSafeInteger(opening + counted.net))
    return refused('invalid', 'not-an-amount', `${where}: its amounts are too large to be added up exactly.`)
  for (const [name, said] of Object.entries(SAID) as [keyof StatedTotals, string][])
    if (stated[name] !== undefined && stated[name] !== counted[name])
      return refused(
        'invalid',
        'wrong-control-sum',
        `${where}: the ${said} is not what its summary says. Ask the bank for it again.`,
      )
  if (opening + counted.net !== closing)
    return refused(
      'invalid',
      'balances-do-not-add-up',
      `${where}: its opening balance and its entries do not come to its closing balance. Ask the bank for it again.`,
    )
  if (countEntries(entries).net !== counted.net)
    return refused('invalid', 'details-do-not-add-up', `${where}: the payments in an entry do not come to its amount.`)
  return done(undefined)
}

/** Knows the same statement again, whichever file it is in. */
export function fingerprintOfStatement(statement: BankStatement): string {
  return createHash('sha256').update(JSON.stringify(statement)).digest('hex')
}
