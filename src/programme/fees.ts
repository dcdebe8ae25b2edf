/**
 * What a card costs its holder. A fee is taken when the card is asked for and lies on 2300, deferred, until it is known what becomes of the card:
 *
 *   handed over, or not collected in time (DESTROYED)   it is earned: 2300 / 4000
 *   withdrawn, or the holder has died                   it is given back to where it came from: 2300 / 2000 or 2300 / 1000
 *   lost or stolen on the way                           it stays, and pays for the card that is made instead
 *
 * `card_life.fee_key` names the decision that took it for as long as it is deferred.
 */
import { assert } from '../assert.ts'
import type { CardState, CardToken } from '../card.ts'
import { utcDay } from '../clock.ts'
import { egp } from '../decision/transfers.ts'
import { writeCardLife, type CardLife } from '../ledger/programme/cards.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { cashPurseOf, postAtDesk } from '../ledger/programme/postings.ts'
import { formatAmount } from '../money.ts'
import { bank, cashAvailable, deferredFees, feeIncome } from '../purse/chart.ts'
import { KIND } from '../transaction/transaction.ts'
import { FINAL } from './cardLife.ts'

export type FeePayment = 'counter' | 'cash'

export interface Fee {
  /** The card that it is for. */
  readonly token: CardToken
  readonly personId: number
  readonly householdId: number
  /** Piasters, above zero. */
  readonly amount: number
  readonly payment: FeePayment
}

/** Takes the fee of a card that has been ordered; the purses of the household are locked. Refuses what the purse does not cover. */
export async function takeFee(
  tx: SqlTransaction,
  { token, personId, householdId, amount, payment }: Fee,
): Promise<Outcome<null>> {
  const purse = await cashPurseOf(tx, householdId, personId)
  const fromPurse = payment === 'cash'
  const key = `fee|${utcDay(tx.nowMs)}|${token}`
  // What is paid at the counter is in the history of the holder's purse too, and moves nothing of it.
  const guard = await postAtDesk(tx, {
    kind: KIND.fee,
    key,
    cardToken: token,
    purseId: purse.id,
    delta: fromPurse ? -amount : 0,
    amount,
    quantity: fromPurse ? null : 0,
    transfers: egp(fromPurse ? cashAvailable(purse.id) : bank, deferredFees, amount),
  })
  if (guard === 'balance')
    return refused(
      'conflict',
      'insufficient-funds',
      `The holder's cash purse does not cover the fee of ${formatAmount(amount)} EGP. Nothing was done; it may be paid at the counter.`,
      '/payment',
    )
  assert(guard === undefined, 'a fee is refused for want of money only')
  await writeCardLife(tx, token, { fee: amount, fee_paid: payment, fee_key: key })
  tx.changedCards.add(token)
  return done(null)
}

/** What becomes of a fee when its card comes into a state; the purses are locked. */
export async function settleFee(tx: SqlTransaction, card: CardLife, state: CardState): Promise<void> {
  const { token, personId, householdId, fee, feePaid, feeKey } = card
  if (feeKey === null || personId === null) return
  const earned = state === 'ACTIVE' || state === 'DESTROYED'
  if (!earned && !FINAL.includes(state)) return
  const { id: purseId } = await cashPurseOf(tx, householdId, personId)
  const toPurse = !earned && feePaid === 'cash'
  const guard = await postAtDesk(tx, {
    kind: earned ? KIND.feeEarned : KIND.feeBack,
    key: `${earned ? 'fee-earned' : 'fee-back'}|${token}`,
    cardToken: token,
    purseId,
    delta: toPurse ? fee : 0,
    amount: fee,
    quantity: toPurse ? null : 0,
    transfers: egp(deferredFees, earned ? feeIncome : toPurse ? cashAvailable(purseId) : bank, fee),
    original: { key: feeKey, keyDate: keyDateOf(feeKey) },
  })
  assert(guard === undefined, 'a deferred fee is settled once')
  await writeCardLife(tx, token, { fee_key: null })
  tx.changedCards.add(token)
}

/** The fee of a card that was lost on the way pays for the one that is made instead. */
export async function carryFee(tx: SqlTransaction, from: CardLife, to: CardToken): Promise<void> {
  if (from.feeKey === null || from.feePaid === null) return
  await writeCardLife(tx, to, { fee: from.fee, fee_paid: from.feePaid, fee_key: from.feeKey })
  await writeCardLife(tx, from.token, { fee_paid: null, fee_key: null })
}

/** `fee|2026-11-27|<token>`: the date is that of the decision's key. */
function keyDateOf(feeKey: string): string {
  return feeKey.split('|')[1] ?? ''
}
