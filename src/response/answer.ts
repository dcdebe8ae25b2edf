/** Builds the answer to a message: what the standard asks to be echoed, and what was decided. */
import { formatAdditionalAmounts, type AdditionalAmount } from '../iso8583/additionalAmounts.ts'
import { encode, type Encoded, type FieldValues } from '../iso8583/encode.ts'
import { FIELD_MAX } from '../iso8583/messageSpec.ts'
import type { Message } from '../iso8583/message.ts'
import { formatPrivateData, type PrivateDatum } from '../iso8583/privateData.ts'
import { responseMti } from '../iso8583/mti.ts'
import { APPROVED, PARTIALLY_APPROVED } from './responseCodes.ts'
import { makeRoomForMac } from '../security/messageMac.ts'
import type { AuthorizationResult } from './result.ts'

/** ISO 8583-1:1987 table 6, "echo": fields an answer carries as the request did. DE 37 and 38 are the result's. */
const ECHOED = marked([
  2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 18, 20, 23, 24, 25, 28, 29, 30, 31, 32, 33, 40, 41, 42, 49, 50, 51, 90, 95,
])
const NETWORK_ECHOED = marked([7, 11, 12, 13, 24, 32, 33, 41, 70])

/** DE 54 positions 3 and 4. */
const LEDGER_BALANCE = '01'
const AVAILABLE_BALANCE = '02'

/** DE 3 positions 1 and 2: withdrawal, deposit, balance inquiry. Their slips are the holder's; a shop's slip shows no balance. */
const TELLS_BALANCE: readonly string[] = ['01', '21', '31']
const DEPOSIT = '21'

/** @param authenticated room is left for a MAC (src/security/messageMac.ts) */
export function answerTo(message: Message, result: AuthorizationResult, authenticated = false): Encoded {
  const fields = echo(message, ECHOED)
  fields[39] = result.responseCode
  fields[37] = result.rrn
  const approved = result.responseCode === APPROVED || result.responseCode === PARTIALLY_APPROVED
  if (approved && result.approvalCode !== undefined) fields[38] = result.approvalCode
  // ISO 8583-1:1987 DE 4: with code 10 the answer carries the amount that was approved.
  if (result.responseCode === PARTIALLY_APPROVED) fields[4] = String(result.approved).padStart(12, '0')
  if (result.balances !== undefined && tellsBalance(message, result)) fields[54] = balanceField(message, result.balances)
  // ISO 8583-1:1987 DE 6 and 51, cardholder billing: what the holder's own money paid, where that is not the amount.
  if (result.billed !== undefined) {
    fields[6] = String(result.billed).padStart(12, '0')
    fields[51] = message.text(49)
  }
  if (result.chipData !== undefined) fields[55] = result.chipData
  const told = privateAnswer(message, result)
  if (told.length > 0) fields[48] = formatPrivateData(told)
  if (authenticated) makeRoomForMac(fields)
  return encode(message.spec, responseMti(message.mti), fields)
}

/** DE 48 of the answer: wrong fingerprints left, cover and its last day, and why something was declined, where the terminal spoke DE 48. */
function privateAnswer(message: Message, { triesLeft, cover, reason }: AuthorizationResult): PrivateDatum[] {
  const told: PrivateDatum[] = []
  if (triesLeft !== undefined) told.push({ tag: 'TR', value: String(triesLeft) })
  if (cover !== undefined) told.push({ tag: 'CV', value: cover.class + cover.until.replaceAll('-', '') })
  if (reason !== undefined && message.has(48)) told.push({ tag: 'RM', value: reason })
  return told
}

export interface NetworkResult {
  readonly responseCode: string
  /** Check value of the key that was taken over. */
  readonly kcv?: string
}

/** The answer to a message of class 8 (domain: network management). */
export function networkAnswerTo(message: Message, { responseCode, kcv }: NetworkResult, authenticated = false): Encoded {
  const fields = echo(message, NETWORK_ECHOED)
  fields[39] = responseCode
  if (kcv !== undefined) fields[48] = formatPrivateData([{ tag: 'KC', value: kcv }])
  if (authenticated) makeRoomForMac(fields)
  return encode(message.spec, responseMti(message.mti), fields)
}

export interface FileUpdateResult {
  readonly responseCode: string
  /** Why it was not done. */
  readonly reason?: string
  /** DE 48 HR: what the file says of the card now. */
  readonly listedAs?: string
}

const FILE_ECHOED = marked([2, 7, 11, 12, 13, 24, 32, 33, 37, 41, 42, 91, 101])

/** The answer to a file update (ISO 8583-1:1987: 0312). */
export function fileUpdateAnswerTo(message: Message, result: FileUpdateResult, authenticated = false): Encoded {
  const { responseCode, reason, listedAs } = result
  const fields = echo(message, FILE_ECHOED)
  fields[39] = responseCode
  const told: PrivateDatum[] = []
  if (listedAs !== undefined) told.push({ tag: 'HR', value: listedAs })
  if (reason !== undefined && message.has(48)) told.push({ tag: 'RM', value: reason })
  if (told.length > 0) fields[48] = formatPrivateData(told)
  if (authenticated) makeRoomForMac(fields)
  return encode(message.spec, responseMti(message.mti), fields)
}

/** By data element: 1 where it is one of these. */
function marked(numbers: readonly number[]): Uint8Array {
  const marks = new Uint8Array(FIELD_MAX + 1)
  for (const number of numbers) marks[number] = 1
  return marks
}

function echo(message: Message, echoed: Uint8Array): FieldValues {
  // As long as it can become, so that it never grows.
  const fields: FieldValues = new Array<undefined>(FIELD_MAX + 1)
  for (const number of message.fields()) {
    if (echoed[number] === 1) fields[number] = message.carried(number)
  }
  return fields
}

/** Whoever hands out of an entitlement tells the holder what is left of it, also where there was too little. */
function tellsBalance(message: Message, result: AuthorizationResult): boolean {
  // The holder has to know why it was not the whole amount.
  if (result.responseCode === PARTIALLY_APPROVED) return true
  if (message.mti.charAt(1) === '4') return false
  const processingCode = message.text(3) ?? ''
  return TELLS_BALANCE.includes(processingCode.slice(0, 2)) || (result.ofEntitlement && processingCode.startsWith('00'))
}

function balanceField(message: Message, balances: NonNullable<AuthorizationResult['balances']>): string {
  const processingCode = message.text(3) ?? '000000'
  // DE 3: the account debited is in positions 3 and 4, the one credited in 5 and 6.
  const accountType = processingCode.startsWith(DEPOSIT) ? processingCode.slice(4, 6) : processingCode.slice(2, 4)
  const amount = (amountType: string, value: number): AdditionalAmount => ({
    accountType,
    amountType,
    currency: balances.currency,
    sign: 'C',
    amount: value,
  })
  return formatAdditionalAmounts([amount(LEDGER_BALANCE, balances.ledger), amount(AVAILABLE_BALANCE, balances.available)])
}
