/** Claims on treasury and fund, and what was paid of them. */
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { postBook } from '../ledger/settlement/book.ts'
import { addReceipt, listClaims, lockPayer, type Claim, type ClaimPlace, type ClaimRange } from '../ledger/settlement/claims.ts'
import type { Programme } from '../programmeParameters.ts'
import { ACCOUNT_CODE } from '../purse/chart.ts'

/** Accounts of those who pay for services, by code. */
export function payersOf({ versions }: Programme): number[] {
  const codes = versions.flatMap(({ services, health }) => [
    health.fundAccount,
    ...Object.values(services).map(({ payerAccount }) => payerAccount),
  ])
  return [...new Set(codes)].sort((a, b) => a - b)
}

export type Payment = ClaimPlace & { readonly amount: number }

/**
 * Of which claims an amount is: what was given back is taken off first, then the oldest are paid.
 *
 * @param claims in the order of their days @returns undefined where the amount is more than is open
 */
export function allocate(claims: readonly Claim[], amount: number): Payment[] | undefined {
  const open = claims.map((claim) => ({ ...claim, open: claim.amount - claim.paid }))
  const givenBack = open.filter((claim) => claim.open < 0)
  let left = amount - givenBack.reduce((sum, claim) => sum + claim.open, 0)
  const payments: Payment[] = []
  for (const { day, payer, service, governorate, open: owed } of open) {
    const paid = owed < 0 ? owed : Math.min(owed, left)
    if (paid === 0) continue
    if (owed > 0) left -= paid
    payments.push({ day, payer, service, governorate, amount: paid })
  }
  return left === 0 ? payments : undefined
}

/** Claims of so many payers, services and governorates are read at once. */
const CLAIMS_MAX = 50_000

export async function openClaims(tx: SqlTransaction, range: ClaimRange): Promise<Claim[]> {
  return listClaims(tx, range, { limit: CLAIMS_MAX, open: true })
}

export interface Receipt {
  /** Unique for ever: what makes it posted once. */
  readonly key: string
  readonly payer: number
  readonly from: string
  readonly until: string
  readonly amount: number
  readonly receivedOn: string
  readonly reference: string | null
  readonly madeBy: string
  readonly note: string | null
  /** It was on suspense until now. */
  readonly outOfSuspense?: true
}

/** Posts what a payer has paid (1000 / 12xx) and says of which claims it is. Locks the payer. */
export async function takeReceipt(tx: SqlTransaction, receipt: Receipt): Promise<Outcome<undefined>> {
  const { key, payer, from, until, amount, receivedOn, reference, madeBy, note, outOfSuspense } = receipt
  await lockPayer(tx, payer)
  const payments = allocate(await openClaims(tx, { from, until, payer }), amount)
  if (payments === undefined)
    return refused(
      'conflict',
      'more-than-claimed',
      'It is more than is open of the claims of those days. Name more days, or put it on suspense.',
    )
  const transfer = (debitCode: number, creditCode: number) => ({ debitCode, debitOwner: 0, creditCode, creditOwner: 0, amount })
  const { bank, suspense } = ACCOUNT_CODE
  const transfers = [...(outOfSuspense === true ? [transfer(suspense, bank)] : []), transfer(bank, payer)]
  const posted = await postBook(tx, [{ key, kind: 'receipt', valueDate: receivedOn, reference, madeBy, note, transfers }])
  if (!posted.has(key)) return refused('conflict', 'posted-before', 'This receipt has been posted already.')
  await addReceipt(tx, { key, payer, amount, receivedOn, payments })
  return done(undefined)
}
