/**
 * Turns an ISO 8583 message into a typed transaction (domain: transactions). The only reader of data elements on the way in.
 */
import { cardToken } from '../card.ts'
import type { LinkConfig } from '../config.ts'
import type { Message } from '../iso8583/message.ts'
import { parseMti, type Mti } from '../iso8583/mti.ts'
import { parseOriginalData } from '../iso8583/originalData.ts'
import { parsePrivateData, privateDatum } from '../iso8583/privateData.ts'
import { parseReplacementAmounts } from '../iso8583/replacementAmounts.ts'
import { minorUnits, type MinorUnits } from '../money.ts'
import { acquirerPart, bodyFingerprint, dateOf, idempotencyKey, isTransmissionTime, retrievalReference } from './identity.ts'
import type { OriginalReference, Transaction, Unsupported } from './transaction.ts'

export interface ClassifyContext {
  readonly link: Pick<LinkConfig, 'name' | 'keyTime'>
  readonly nowMs: number
  /** Secret of the card tokens. */
  readonly lookupKey: Uint8Array
}

export type Classified =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'network'; readonly code: string }
  | Unsupported
  /** A data element that this transaction needs is missing or makes no sense: 30. */
  | { readonly kind: 'reject'; readonly path: string; readonly expected: string }

type Kind = Transaction['kind']

/** First two digits of DE 3, by message class: ISO 8583-1:1987 table 9; 26 and 50 are common use. */
const FINANCIAL: Readonly<Record<string, Kind>> = {
  '00': 'purchase',
  '01': 'withdrawal',
  '20': 'refund',
  '21': 'deposit',
  '26': 'credit',
  '31': 'balance',
  '50': 'payment',
}
const AUTHORIZATION: Readonly<Record<string, Kind>> = { '00': 'authorization', '31': 'balance' }
const FINANCIAL_ADVICE: Readonly<Record<string, Kind>> = { '00': 'completion' }

/** Account types of the cash purse (domain: purses). */
const CASH_ACCOUNTS: readonly string[] = ['00', '10', '20']

export function classify(message: Message, context: ClassifyContext): Classified {
  const mti = parseMti(message.mti)
  if (mti?.messageClass === 'network-management') return { kind: 'network', code: message.text(70) ?? '' }
  const terminalId = message.text(41)?.trimEnd()
  if (terminalId === undefined || terminalId === '') return reject(41, 'the terminal')
  const acceptorId = message.text(42)?.trimEnd()
  const processingCode = message.text(3)
  const kind = mti === undefined ? undefined : kindOf(mti, processingCode)
  if (mti === undefined || kind === undefined) return { kind: 'unsupported', terminalId, acceptorId }
  return classifyCard(message, context, kind, { terminalId, acceptorId, processingCode: processingCode ?? '' })
}

function kindOf(mti: Mti, processingCode: string | undefined): Kind | undefined {
  if (mti.version !== 0) return undefined
  const advice = mti.messageFunction === 'advice'
  if (!advice && mti.messageFunction !== 'request') return undefined
  if (mti.messageClass === 'reversal') return 'reversal'
  const table =
    mti.messageClass === 'financial'
      ? advice
        ? FINANCIAL_ADVICE
        : FINANCIAL
      : mti.messageClass === 'authorization' && !advice
        ? AUTHORIZATION
        : {}
  const kind = table[processingCode?.slice(0, 2) ?? '']
  if (kind === undefined || processingCode === undefined) return undefined
  const credits = kind === 'deposit' || kind === 'credit' || kind === 'refund'
  const account = credits ? processingCode.slice(4, 6) : processingCode.slice(2, 4)
  return CASH_ACCOUNTS.includes(account) ? kind : undefined
}

interface Place {
  readonly terminalId: string
  readonly acceptorId: string | undefined
  readonly processingCode: string
}

function classifyCard(message: Message, context: ClassifyContext, kind: Kind, place: Place): Classified {
  const pan = cardNumber(message)
  if (pan === undefined) return reject(2, 'the card number, in DE 2 or DE 35, the same in both')
  const stan = message.text(11)
  if (stan === undefined) return reject(11, 'the systems trace audit number')
  const time = context.link.keyTime === 'transmission' ? message.text(7) : (message.text(13) ?? '') + (message.text(12) ?? '')
  const keyDate = time !== undefined && isTransmissionTime(time) ? dateOf(time.slice(0, 4), context.nowMs) : undefined
  if (time === undefined || keyDate === undefined)
    return reject(context.link.keyTime === 'transmission' ? 7 : 13, 'a date and time')
  const amount = kind === 'balance' ? '000000000000' : message.text(4)
  if (amount === undefined) return reject(4, 'the amount')
  const currency = message.text(49)
  if (currency === undefined) return reject(49, 'the currency')

  const acquirer = acquirerPart(message.text(32), context.link.name)
  const token = cardToken(pan, context.lookupKey)
  const common = {
    mti: Number(message.mti),
    key: idempotencyKey({ acquirer, terminalId: place.terminalId, time, stan, messageClass: message.mti.charAt(1) }),
    keyDate,
    body: bodyFingerprint([token, place.processingCode, amount, currency, place.acceptorId, message.text(90), message.text(95)]),
    cardToken: token,
    expiry: message.text(14),
    terminalId: place.terminalId,
    acceptorId: place.acceptorId,
    amount: minorUnits(Number(amount)),
    currency,
    rrn: ownReference(message) ?? retrievalReference(keyDate, time, stan),
    hasPin: message.has(52),
  }
  switch (kind) {
    case 'purchase':
    case 'authorization':
      return transaction({ ...common, kind, partialAccepted: partialAccepted(message) })
    case 'completion':
    case 'refund': {
      const original = originalReference(message, acquirer, place.terminalId, context)
      return original === undefined
        ? reject(90, 'the original, in DE 90 or in DE 37 and DE 38')
        : transaction({ ...common, kind, original })
    }
    case 'reversal': {
      const original = originalByKey(message, acquirer, place.terminalId, context)
      return original === undefined
        ? reject(90, 'MTI, STAN and transmission time of the original')
        : transaction({ ...common, kind, original, finalAmount: finalAmount(message) })
    }
    default:
      return transaction({ ...common, kind })
  }
}

/** DE 2, else the number on track 2; undefined where there is none or the two disagree. */
function cardNumber(message: Message): string | undefined {
  const pan = message.text(2)
  const track = message.text(35)
  if (track === undefined) return pan
  const ofTrack = track.split(/[=D]/)[0] ?? ''
  return pan === undefined || pan === ofTrack ? ofTrack : undefined
}

function ownReference(message: Message): string | undefined {
  const rrn = message.text(37)?.trimEnd()
  return rrn === '' ? undefined : rrn
}

function partialAccepted(message: Message): boolean {
  const text = message.text(48)
  if (text === undefined) return false
  const data = parsePrivateData(text)
  const value = data.ok ? privateDatum(data.value, 'PC') : undefined
  return value === 'Y' || value === '1'
}

function originalReference(
  message: Message,
  acquirer: string,
  terminalId: string,
  context: ClassifyContext,
): OriginalReference | undefined {
  if (message.has(90)) return originalByKey(message, acquirer, terminalId, context)
  const rrn = ownReference(message)
  const approvalCode = message.text(38)?.trimEnd()
  return rrn === undefined || approvalCode === undefined ? undefined : { by: 'reference', rrn, approvalCode }
}

/** ISO 8583-1:1987 DE 90: what the original's key was made of. */
function originalByKey(
  message: Message,
  acquirer: string,
  terminalId: string,
  context: ClassifyContext,
): (OriginalReference & { by: 'key' }) | undefined {
  const parsed = parseOriginalData(message.text(90) ?? '')
  if (!parsed.ok) return undefined
  const { mti, stan, transmissionTime, acquirerId } = parsed.value
  // Links whose keys use the local time repeat that of the original in DE 12 and 13; their DE 90 may leave the time zero.
  const time = context.link.keyTime === 'local' ? (message.text(13) ?? '') + (message.text(12) ?? '') : transmissionTime
  const keyDate = isTransmissionTime(time) ? dateOf(time.slice(0, 4), context.nowMs) : undefined
  if (keyDate === undefined) return undefined
  const key = idempotencyKey({
    acquirer: acquirerPart(acquirerId, acquirer),
    terminalId,
    time,
    stan,
    messageClass: mti.charAt(1),
  })
  return { by: 'key', key, keyDate }
}

/** ISO 8583-1:1987 DE 95: the transaction's actual amount. */
function finalAmount(message: Message): MinorUnits | undefined {
  const text = message.text(95)
  if (text === undefined) return undefined
  const parsed = parseReplacementAmounts(text)
  return parsed.ok ? minorUnits(parsed.value.transactionAmount) : undefined
}

function transaction(value: Transaction): Classified {
  return { kind: 'transaction', transaction: value }
}

function reject(de: number, expected: string): Classified {
  return { kind: 'reject', path: `DE ${String(de)}`, expected }
}
