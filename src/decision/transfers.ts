/** How an amount moves from one account of the chart to another. */
import { UNIT_EGP, type Unit } from '../money.ts'
import type { Account } from '../purse/chart.ts'
import type { Transfer } from './posting.ts'

/** One transfer; none for an amount of zero, so that parts that came to nothing leave no row. */
export function transfer(unit: Unit, debit: Account, credit: Account, amount: number): Transfer[] {
  if (amount === 0) return []
  return [{ debitCode: debit.code, debitOwner: debit.owner, creditCode: credit.code, creditOwner: credit.owner, unit, amount }]
}

/** One transfer in Egyptian pounds, of so many piasters. */
export function egp(debit: Account, credit: Account, amount: number): Transfer[] {
  return transfer(UNIT_EGP, debit, credit, amount)
}
