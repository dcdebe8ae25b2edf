/** Health: whether a person is covered, and the holder's part of a clinic's bill. No money is in the cover; the co-pay is paid from cash. */
import { Decimal } from 'decimal.js'
import type { HealthRules } from '../programmeParameters.ts'
import { cashAvailable, outletAccount, programmeAccount } from '../purse/chart.ts'
import type { Copay, Eligibility } from '../transaction/transaction.ts'
import { currencyReason } from './checks.ts'
import { cashPurseOf, type DecisionContext } from './context.ts'
import { approval, decline, type Decision } from './decision.ts'
import { afterMatch, fingerprintDecline } from './fingerprint.ts'
import { movementOf, NOTHING_TO_POST } from './posting.ts'
import { egp } from './transfers.ts'

/** Nothing is posted: the answer says that the person is covered (DE 48 CV). */
export function decideEligibility(transaction: Eligibility, context: DecisionContext): Decision {
  const cash = cashPurseOf(context)
  return (
    fingerprintDecline(transaction.fingerprint, cash, context) ??
    (transaction.amount === 0 ? undefined : decline('amount_invalid')) ??
    approval(0, { ...NOTHING_TO_POST, movement: movementOf(cash.id, cash.gate, 0), cardUpdate: afterMatch(context) })
  )
}

/** DE 4 is the clinic's bill: the holder's part comes from cash, the rest from the health fund. */
export function decideCopay(transaction: Copay, context: DecisionContext): Decision {
  const { parameters, card, terminal } = context
  const part = copayOf(parameters.health, transaction.amount, transaction.serviceClass, card.cover?.class)
  if (part === undefined) return decline('not_covered')
  const cash = cashPurseOf(context)
  const ofFingerprint = fingerprintDecline(transaction.fingerprint, cash, context)
  if (ofFingerprint !== undefined) return ofFingerprint
  if (transaction.amount === 0) return decline('amount_invalid')
  const currency = currencyReason(transaction, parameters)
  if (currency !== undefined) return decline(currency)
  if (transaction.amount > parameters.health.billMax) return decline('transaction_amount')
  const known = context.purses?.get(cash.id)
  if (known !== undefined && known.available < part) return decline('insufficient_funds')
  const { fundAccount, clinicAccount } = parameters.health
  const clinic = outletAccount(clinicAccount, terminal.merchant.id)
  return approval(transaction.amount, {
    ...NOTHING_TO_POST,
    movement: movementOf(cash.id, cash.gate, -part),
    transfers: [
      ...egp(cashAvailable(cash.id), clinic, part),
      ...egp(programmeAccount(fundAccount), clinic, transaction.amount - part),
    ],
    quantity: part,
    cardUpdate: afterMatch(context),
  })
}

/**
 * The holder's part of a bill: per cent of it, at most the class's ceiling; half a piaster is rounded up.
 *
 * @param bill piasters
 * @returns piasters; undefined for a class of service that there is not
 */
export function copayOf(
  { classes, exemptCovers }: HealthRules,
  bill: number,
  serviceClass: string | undefined,
  coverClass: string | undefined,
): number | undefined {
  const rule = serviceClass !== undefined && Object.hasOwn(classes, serviceClass) ? classes[serviceClass] : undefined
  if (rule === undefined) return undefined
  if (coverClass !== undefined && exemptCovers.includes(coverClass)) return 0
  const part = new Decimal(bill).times(rule.percent).div(100).toDecimalPlaces(0, Decimal.ROUND_HALF_UP).toNumber()
  return Math.min(part, rule.max)
}
