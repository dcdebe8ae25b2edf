/**
 * Money on the hot path is an integer number of minor units (piasters for EGP) in a JavaScript number, which
 * is exact up to 2^53; decimal.js serves at the edges, where people write `12.50`.
 */
import { Decimal } from 'decimal.js'

declare const minorUnitsBrand: unique symbol

/** A whole, non-negative number of minor units, at most 12 digits as ISO 8583-1:1987 DE 4 can carry. */
export type MinorUnits = number & { readonly [minorUnitsBrand]: true }

/** The largest amount one message can carry: n12. */
export const MINOR_UNITS_MAX = 999_999_999_999

/** ISO 4217 numeric code of the Egyptian pound, two decimals. */
export const EGP = '818'
const EGP_DECIMALS = 2

/** Number of a unit of the ledger (config/programme.json). Each balances by itself, so that one purse paying for another cannot balance. */
export type Unit = number
export const UNIT_EGP: Unit = 1

/** Takes a number that is known to be a whole amount; anything else is a fault of the caller. */
export function minorUnits(value: number): MinorUnits {
  if (!Number.isInteger(value) || value < 0 || value > MINOR_UNITS_MAX) {
    throw new RangeError(`not an amount in minor units: ${String(value)}`)
  }
  return value as MinorUnits
}

/** Reads an amount a person wrote in major units (`12.50`, `12.5`, `12`); undefined if it is not one. */
export function parseAmount(text: string): MinorUnits | undefined {
  if (!/^\d{1,10}(\.\d{1,2})?$/.test(text)) return undefined
  return minorUnits(new Decimal(text).times(10 ** EGP_DECIMALS).toNumber())
}

/** Writes minor units in major units with both decimals: 1250 is `12.50`. */
export function formatAmount(amount: number): string {
  return new Decimal(amount).div(10 ** EGP_DECIMALS).toFixed(EGP_DECIMALS)
}
