/** What `sarf send` puts into DE 48 of a request, and what the goods in it come to. */
import type { PrivateDatum } from '../iso8583/privateData.ts'
import { MINOR_UNITS_MAX, minorUnits, type MinorUnits } from '../money.ts'
import type { ServiceRules } from '../programmeParameters.ts'
import { REPORT_LETTERS, type Report } from '../transaction/hotCardFile.ts'
import type { SendKind } from './transactionMessage.ts'
import { UsageError } from './usageError.ts'

/** DE 48 BR by the word for it; `absent`: no such datum. */
const FINGERPRINTS = { match: 'M', mismatch: 'X', none: 'N', fault: 'F', absent: undefined } as const
export type Fingerprint = keyof typeof FINGERPRINTS
export const FINGERPRINT_WORDS = Object.keys(FINGERPRINTS) as readonly Fingerprint[]

/** Where the switch asks for a fingerprint, it is there unless the options say otherwise. */
const WITH_FINGERPRINT: readonly SendKind[] = ['eligibility', 'copay']

export interface GoodsOptions {
  readonly loaves?: number
  readonly days?: number
  /** Lines `item*qty*amount;`, amounts in piasters. */
  readonly basket?: string
  readonly fingerprint?: Fingerprint
  /** Health service class. */
  readonly class?: string
  readonly partial?: true
  /** Of a card: what is reported; absent: whether something was. */
  readonly what?: Report
  /** Number of the call or police report. */
  readonly reference?: string
}

/** @param service the rules of the purse that is drawn on, where it is one of goods */
export function privateDataOf(kind: SendKind, options: GoodsOptions, service: ServiceRules | undefined): PrivateDatum[] {
  const { goods, days } = service ?? {}
  const fingerprint = options.fingerprint ?? (WITH_FINGERPRINT.includes(kind) ? 'match' : 'absent')
  const data: readonly (readonly [tag: string | undefined, value: string | undefined])[] = [
    [goods?.tag, text(options.loaves)],
    [days?.tag, text(kind === 'bread' ? (options.days ?? 1) : options.days)],
    ['BK', options.basket],
    ['BR', FINGERPRINTS[fingerprint]],
    ['SC', options.class],
    ['HR', options.what === undefined ? undefined : REPORT_LETTERS[options.what]],
    ['RF', options.reference],
    ['PC', options.partial === true ? '1' : undefined],
  ]
  return data.flatMap(([tag, value]) => (tag === undefined || value === undefined ? [] : [{ tag, value }]))
}

/**
 * What loaves or basket come to, piasters.
 *
 * @throws UsageError where there is nothing to count, or no price
 */
export function goodsAmount(kind: SendKind, options: GoodsOptions, service: ServiceRules | undefined): MinorUnits {
  if (options.basket !== undefined) return basketTotal(options.basket)
  const price = service?.goods?.price
  if (options.loaves === undefined || price === undefined)
    throw new UsageError(`${kind} has no price in the programme; give --amount`)
  return minorUnits(options.loaves * price)
}

function basketTotal(basket: string): MinorUnits {
  const total = basket
    .split(';')
    .filter((line) => line !== '')
    .reduce((sum, line) => sum + Number(line.split('*')[2]), 0)
  if (total > MINOR_UNITS_MAX) throw new UsageError('the basket comes to more than DE 4 can hold')
  return minorUnits(total)
}

function text(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value)
}
