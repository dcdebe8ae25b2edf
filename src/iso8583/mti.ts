/** The message type indicator taken apart: ISO 8583-1:1987 section 4.1, version, class, function, origin. */

export type MessageClass =
  | 'authorization'
  | 'financial'
  | 'file-action'
  | 'reversal'
  | 'reconciliation'
  | 'administrative'
  | 'fee-collection'
  | 'network-management'
export type MessageFunction = 'request' | 'request-response' | 'advice' | 'advice-response' | 'notification'
export type MessageOrigin = 'acquirer' | 'acquirer-repeat' | 'issuer' | 'issuer-repeat' | 'other' | 'other-repeat'

export interface Mti {
  /** First digit: 0 is ISO 8583:1987. */
  readonly version: number
  readonly messageClass: MessageClass
  readonly messageFunction: MessageFunction
  readonly origin: MessageOrigin
  /** The same message sent again: the last digit is odd. */
  readonly isRepeat: boolean
}

/** Undefined where the four characters are not digits or a digit has no meaning in the 1987 edition. */
export function parseMti(mti: string): Mti | undefined {
  if (!/^\d{4}$/.test(mti)) return undefined
  const messageClass = CLASSES[digit(mti, 1)]
  const messageFunction = FUNCTIONS[digit(mti, 2)]
  const origin = ORIGINS[digit(mti, 3)]
  if (messageClass === undefined || messageFunction === undefined || origin === undefined) return undefined
  return { version: digit(mti, 0), messageClass, messageFunction, origin, isRepeat: digit(mti, 3) % 2 === 1 }
}

/**
 * The MTI of the answer: 0200 and its repeat 0201 give 0210, 0220 and 0221 give 0230. The answer keeps the origin of
 * the message it answers, not its repeat. Of a message that takes no answer the result has no meaning.
 */
export function responseMti(mti: string): string {
  const last = digit(mti, 3)
  return mti.slice(0, 2) + String(digit(mti, 2) + 1) + String(last - (last % 2))
}

const CLASSES: readonly (MessageClass | undefined)[] = [
  undefined,
  'authorization',
  'financial',
  'file-action',
  'reversal',
  'reconciliation',
  'administrative',
  'fee-collection',
  'network-management',
]
const FUNCTIONS: readonly (MessageFunction | undefined)[] = [
  'request',
  'request-response',
  'advice',
  'advice-response',
  'notification',
]
const ORIGINS: readonly (MessageOrigin | undefined)[] = [
  'acquirer',
  'acquirer-repeat',
  'issuer',
  'issuer-repeat',
  'other',
  'other-repeat',
]

function digit(mti: string, index: number): number {
  return mti.charCodeAt(index) - 0x30
}
