/**
 * Turns an ISO 8583 message into a typed transaction (domain: transactions). The only reader of data elements on the way in.
 */
import { cardToken } from '../card.ts'
import type { MessageLink } from '../settings.ts'
import type { Message } from '../iso8583/message.ts'
import { parseMti, type Mti } from '../iso8583/mti.ts'
import { parseOriginalData } from '../iso8583/originalData.ts'
import { parsePrivateData, privateDatum, type PrivateDatum } from '../iso8583/privateData.ts'
import { parseReplacementAmounts } from '../iso8583/replacementAmounts.ts'
import { EGP, minorUnits, type MinorUnits } from '../money.ts'
import { HEALTH, type AccountTypes, type ServiceRules } from '../programmeParameters.ts'
import { profileOf, type SecurityParameters } from '../securityParameters.ts'
import { readCredentials } from './credentials.ts'
import { acquirerPart, bodyFingerprint, dateOf, idempotencyKey, isTransmissionTime, retrievalReference } from './identity.ts'
import type {
  BasketLine,
  Copay,
  Dispense,
  Eligibility,
  FingerprintResult,
  OriginalReference,
  Transaction,
  Unsupported,
} from './transaction.ts'

export interface ClassifyContext {
  readonly link: Pick<MessageLink, 'name' | 'keyTime' | 'accountTypes' | 'pin'>
  /** Purses by account type, where the link has no say of its own. */
  readonly accountTypes: AccountTypes
  /** How a card is verified, by the first digits of its number. */
  readonly profiles: SecurityParameters['profiles']
  /** By purse: how a service counts. */
  readonly services: Readonly<Record<string, ServiceRules>>
  readonly nowMs: number
  /** Secret of the card tokens. */
  readonly lookupKey: Uint8Array
}

export type Classified =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'network'; readonly code: string }
  /** A shift is closed: see reconciliation.ts. */
  | { readonly kind: 'reconciliation' }
  /** A file update request (0302). */
  | { readonly kind: 'file-update' }
  | Unsupported
  /** A data element that this transaction needs is missing or makes no sense: 30. */
  | { readonly kind: 'reject'; readonly path: string; readonly expected: string }

type Kind = Transaction['kind']

/**
 * First two digits of DE 3, by message class: ISO 8583-1:1987 table 9; 26 and 50 are common use. What the first entry is for cash, the second
 * is for health and the third for a service.
 */
type OfPurse = readonly [cash: Kind | undefined, health: Kind | undefined, service: Kind | undefined]
const every = (kind: Kind): OfPurse => [kind, kind, kind]
const FINANCIAL: Readonly<Record<string, OfPurse>> = {
  '00': ['purchase', 'copay', 'dispense'],
  '01': every('withdrawal'),
  '20': every('refund'),
  '21': every('deposit'),
  '26': every('credit'),
  '31': ['balance', 'eligibility', 'balance'],
  '50': every('payment'),
}
const AUTHORIZATION: Readonly<Record<string, OfPurse>> = {
  '00': every('authorization'),
  '31': ['balance', 'eligibility', 'balance'],
}
const ADMINISTRATIVE: Readonly<Record<string, OfPurse>> = { '70': ['pinChange', undefined, undefined] }
const FINANCIAL_ADVICE: Readonly<Record<string, OfPurse>> = { '00': ['completion', undefined, 'dispense'] }

export function classify(message: Message, context: ClassifyContext): Classified {
  const mti = parseMti(message.mti)
  if (mti?.messageClass === 'network-management') return { kind: 'network', code: message.text(70) ?? '' }
  if (mti?.messageClass === 'reconciliation' && mti.version === 0 && RECONCILES.includes(mti.messageFunction))
    return { kind: 'reconciliation' }
  if (mti?.version === 0 && mti.messageClass === 'file-action' && mti.messageFunction === 'request')
    return { kind: 'file-update' }
  const terminalId = message.text(41)?.trimEnd()
  if (terminalId === undefined || terminalId === '') return reject(41, 'the terminal')
  const acceptorId = message.text(42)?.trimEnd()
  const processingCode = message.text(3)
  const asked = mti === undefined ? undefined : whatIsAsked(mti, processingCode, context)
  if (asked === undefined) return { kind: 'unsupported', terminalId, acceptorId }
  return classifyCard(message, context, { ...asked, terminalId, acceptorId, processingCode: processingCode ?? '' })
}

/** @returns the kind of transaction and the purse that DE 3 names; undefined where the switch does no such thing */
function whatIsAsked(
  mti: Mti,
  processingCode: string | undefined,
  context: ClassifyContext,
): { readonly kind: Kind; readonly purse: string } | undefined {
  if (mti.version !== 0) return undefined
  const advice = mti.messageFunction === 'advice'
  if (!advice && mti.messageFunction !== 'request') return undefined
  const type = processingCode?.slice(0, 2) ?? ''
  const account = CREDITS.includes(type) ? processingCode?.slice(4, 6) : processingCode?.slice(2, 4)
  const purse = context.link.accountTypes?.[account ?? ''] ?? context.accountTypes[account ?? '']
  if (mti.messageClass === 'reversal') return { kind: 'reversal', purse: purse ?? CASH }
  const table =
    mti.messageClass === 'financial'
      ? advice
        ? FINANCIAL_ADVICE
        : FINANCIAL
      : mti.messageClass === 'authorization' && !advice
        ? AUTHORIZATION
        : mti.messageClass === 'administrative' && !advice
          ? ADMINISTRATIVE
          : {}
  const [cash, health, service] = table[type] ?? []
  const kind = purse === CASH ? cash : purse === HEALTH ? health : service
  return kind === undefined || purse === undefined ? undefined : { kind, purse }
}

const RECONCILES: readonly string[] = ['request', 'advice']
const CASH = 'cash'
const NO_AMOUNT = '000000000000'
/** Refund, deposit and credit: the account is the one credited. */
const CREDITS: readonly string[] = ['20', '21', '26']

interface Asked {
  readonly kind: Kind
  readonly purse: string
  readonly terminalId: string
  readonly acceptorId: string | undefined
  readonly processingCode: string
}

function classifyCard(message: Message, context: ClassifyContext, asked: Asked): Classified {
  const { kind, terminalId, acceptorId, processingCode, purse } = asked
  const pan = cardNumber(message)
  if (pan === undefined) return reject(2, 'the card number, in DE 2 or DE 35, the same in both')
  const stan = message.text(11)
  if (stan === undefined) return reject(11, 'the systems trace audit number')
  const time = context.link.keyTime === 'transmission' ? message.text(7) : (message.text(13) ?? '') + (message.text(12) ?? '')
  const keyDate = time !== undefined && isTransmissionTime(time) ? dateOf(time.slice(0, 4), context.nowMs) : undefined
  if (time === undefined || keyDate === undefined)
    return reject(context.link.keyTime === 'transmission' ? 7 : 13, 'a date and time')
  const amount =
    kind === 'balance' || kind === 'pinChange' ? NO_AMOUNT : (message.text(4) ?? (kind === 'eligibility' ? NO_AMOUNT : undefined))
  if (amount === undefined) return reject(4, 'the amount')
  const currency = message.text(49) ?? (kind === 'pinChange' ? EGP : undefined)
  if (currency === undefined) return reject(49, 'the currency')

  const data = parsePrivateData(message.text(48) ?? '')
  if (!data.ok) return reject(48, data.error.expected)
  const profile = profileOf(context, pan)
  const shown = readCredentials(message, data.value, { pan, profile, link: context.link, terminalId })
  if (shown.kind === 'reject') return shown
  if (kind === 'pinChange' && shown.credentials?.newPin === undefined) return reject(48, 'the new PIN block, NP')

  const acquirer = acquirerPart(message.text(32), context.link.name)
  const token = cardToken(pan, context.lookupKey)
  const common = {
    mti: Number(message.mti),
    key: idempotencyKey({ acquirer, terminalId, time, stan, messageClass: message.mti.charAt(1) }),
    keyDate,
    body: bodyFingerprint([token, processingCode, amount, currency, acceptorId, message.text(90), message.text(95)]),
    cardToken: token,
    expiry: message.text(14),
    terminalId,
    acceptorId,
    amount: minorUnits(Number(amount)),
    currency,
    rrn: ownReference(message) ?? retrievalReference(keyDate, time, stan),
    hasPin: message.has(52) || privateDatum(data.value, 'PB') !== undefined,
    credentials: shown.credentials,
    profile,
    purse,
  }
  switch (kind) {
    case 'purchase':
    case 'authorization':
      return transaction({ ...common, kind, partialAccepted: isYes(privateDatum(data.value, 'PC')) })
    case 'completion':
    case 'refund': {
      const original = originalReference(message, acquirer, terminalId, context)
      return original === undefined
        ? reject(90, 'the original, in DE 90 or in DE 37 and DE 38')
        : transaction({ ...common, kind, original })
    }
    case 'reversal': {
      const original = originalByKey(message, acquirer, terminalId, context)
      return original === undefined
        ? reject(90, 'MTI, STAN and transmission time of the original')
        : transaction({ ...common, kind, original, finalAmount: finalAmount(message) })
    }
    case 'dispense':
    case 'eligibility':
    case 'copay':
      return transaction(privateTransaction(kind, common, data.value, message, context))
    default:
      return transaction({ ...common, kind })
  }
}

/** Transactions whose particulars are in DE 48. */
function privateTransaction(
  kind: 'dispense' | 'eligibility' | 'copay',
  common: Omit<Dispense, 'kind' | 'units' | 'days' | 'basket' | 'partialAccepted' | 'fingerprint' | 'localDay' | 'localTime'>,
  data: readonly PrivateDatum[],
  message: Message,
  { services, nowMs }: ClassifyContext,
): Dispense | Eligibility | Copay {
  const fingerprint = privateDatum(data, 'BR') as FingerprintResult | undefined
  if (kind === 'eligibility') return { ...common, kind, fingerprint }
  if (kind === 'copay') return { ...common, kind, fingerprint, serviceClass: privateDatum(data, 'SC') }
  const rules = services[common.purse]
  const number = (tag: string | undefined): number | undefined => {
    const text = tag === undefined ? undefined : privateDatum(data, tag)
    return text === undefined || !/^\d{1,9}$/.test(text) ? undefined : Number(text)
  }
  return {
    ...common,
    kind,
    fingerprint,
    units: number(rules?.goods?.tag),
    days: number(rules?.days?.tag) ?? 1,
    basket: basketOf(privateDatum(data, 'BK') ?? ''),
    partialAccepted: isYes(privateDatum(data, 'PC')),
    localDay: dateOf(message.text(13) ?? common.keyDate.slice(5).replace('-', ''), nowMs) ?? common.keyDate,
    localTime: message.text(12) ?? '240000',
  }
}

/** DE 48 BK: `item*qty*amount;`, as often as there are lines. */
function basketOf(text: string): BasketLine[] {
  return text
    .split(';')
    .filter((line) => line !== '')
    .map((line) => {
      const [item = '', count = '', amount = ''] = line.split('*')
      return { item, count: Number(count), amount: Number(amount) }
    })
}

function isYes(value: string | undefined): boolean {
  return value === 'Y' || value === '1'
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
