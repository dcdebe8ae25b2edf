/** A signed amount of a purse as people write it: major units of money, or whole things. */
import { Decimal } from 'decimal.js'
import { done, refused, type Outcome } from '../../ledger/programme/desk.ts'
import type { UnitDefinition } from '../../programmeParameters.ts'

/** ISO 4217: no currency. */
const NO_CURRENCY = '999'
const MINOR_UNITS = 100

/** @param amount `-12.50`; of counted units `20` @returns minor units, not zero */
export function unitsOf(amount: string, { currency }: Pick<UnitDefinition, 'currency'>): Outcome<number> {
  const counted = currency === NO_CURRENCY
  const units = new Decimal(amount).times(counted ? 1 : MINOR_UNITS)
  if (!units.isInteger()) return refused('invalid', 'not-whole', 'Of this purse it is a whole number, 20.', '/amount')
  return units.isZero()
    ? refused('invalid', 'nothing-to-adjust', 'An adjustment adds or takes away something.', '/amount')
    : done(units.toNumber())
}
