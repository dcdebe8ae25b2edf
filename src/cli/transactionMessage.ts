/** What a terminal puts into the message of each transaction that `sarf send` knows: MTI and data elements. */
import { formatOriginalData } from '../iso8583/originalData.ts'
import { formatPrivateData, type PrivateDatum } from '../iso8583/privateData.ts'
import { formatReplacementAmounts } from '../iso8583/replacementAmounts.ts'
import { FILE_UPDATE_CODES, HOT_CARD_FILE } from '../transaction/hotCardFile.ts'
import { EGP, type MinorUnits } from '../money.ts'

export const SEND_KINDS = [
  'purchase',
  'withdrawal',
  'deposit',
  'credit',
  'payment',
  'bread',
  'ration',
  'points',
  'eligibility',
  'copay',
  'balance',
  'authorize',
  'complete',
  'refund',
  'reversal',
  'pin-change',
  'hotcard',
  'reconcile',
  'key-change',
  'echo',
  'signon',
] as const
export type SendKind = (typeof SEND_KINDS)[number]

interface KindShape {
  readonly mti: string
  /** MTI where the terminal has approved it offline already. */
  readonly adviceMti?: string
  /** DE 3, positions 1 and 2; undefined where DE 3 is the original's, or where there is no card. */
  readonly transactionType?: string
  /** The purse that the account type in DE 3 means, where nothing else is said. */
  readonly purse?: string
  /** Class of the terminal where this is done. */
  readonly terminalClass: string
  /** DE 70 of a network management message: such a message has no card and no amount. */
  readonly network?: string
  /** A terminal closes its shift: no card, no amount; with the totals that it is told to say. */
  readonly shift?: true
  /** A file update: of a card, without an amount, a terminal or a place. */
  readonly file?: true
  /** Where DE 4 comes from. `goods`: what the loaves or the basket come to, unless an amount is given. */
  readonly amount: 'asked' | 'zero' | 'goods' | 'of the original'
  /** Transactions that this one can follow. */
  readonly follows?: readonly SendKind[]
}

const REVERSIBLE: readonly SendKind[] = [
  'purchase',
  'withdrawal',
  'deposit',
  'credit',
  'payment',
  'bread',
  'ration',
  'points',
  'copay',
  'authorize',
  'complete',
  'refund',
]

export const SHAPES: Readonly<Record<SendKind, KindShape>> = {
  purchase: { mti: '0200', transactionType: '00', terminalClass: 'pos', amount: 'asked' },
  withdrawal: { mti: '0200', transactionType: '01', terminalClass: 'atm', amount: 'asked' },
  deposit: { mti: '0200', transactionType: '21', terminalClass: 'post-office', amount: 'asked' },
  credit: { mti: '0200', transactionType: '26', terminalClass: 'transfer', amount: 'asked' },
  payment: { mti: '0200', transactionType: '50', terminalClass: 'government', amount: 'asked' },
  bread: {
    mti: '0200',
    adviceMti: '0220',
    transactionType: '00',
    purse: 'bread',
    terminalClass: 'bakery',
    amount: 'goods',
  },
  ration: {
    mti: '0200',
    adviceMti: '0220',
    transactionType: '00',
    purse: 'ration',
    terminalClass: 'grocer',
    amount: 'goods',
  },
  points: { mti: '0200', transactionType: '00', purse: 'points', terminalClass: 'grocer', amount: 'asked' },
  eligibility: { mti: '0100', transactionType: '31', purse: 'health', terminalClass: 'clinic', amount: 'zero' },
  copay: { mti: '0200', transactionType: '00', purse: 'health', terminalClass: 'clinic', amount: 'asked' },
  balance: { mti: '0100', transactionType: '31', terminalClass: 'pos', amount: 'zero' },
  authorize: { mti: '0100', transactionType: '00', terminalClass: 'pos', amount: 'asked' },
  complete: {
    mti: '0220',
    transactionType: '00',
    terminalClass: 'pos',
    amount: 'of the original',
    follows: ['authorize'],
  },
  refund: {
    mti: '0200',
    transactionType: '20',
    terminalClass: 'pos',
    amount: 'of the original',
    follows: ['purchase', 'payment', 'complete', 'bread', 'ration', 'points', 'copay'],
  },
  reversal: { mti: '0400', terminalClass: 'pos', amount: 'of the original', follows: REVERSIBLE },
  'pin-change': { mti: '0600', transactionType: '70', terminalClass: 'atm', amount: 'zero' },
  hotcard: { mti: '0302', terminalClass: 'pos', amount: 'zero', file: true },
  reconcile: { mti: '0500', terminalClass: 'pos', amount: 'zero', shift: true },
  'key-change': { mti: '0800', terminalClass: 'pos', amount: 'zero', network: '161' },
  echo: { mti: '0800', terminalClass: 'pos', amount: 'zero', network: '301' },
  signon: { mti: '0800', terminalClass: 'pos', amount: 'zero', network: '001' },
}

/** The card is there and the holder too; the rest is told of a card, or follows what they did. */
export const CARD_PRESENT: readonly SendKind[] = [
  'purchase',
  'withdrawal',
  'deposit',
  'payment',
  'bread',
  'ration',
  'points',
  'eligibility',
  'copay',
  'balance',
  'authorize',
  'pin-change',
]

/** What DE 90 needs of the message that another one follows. */
export interface Original {
  readonly mti: string
  readonly processingCode: string
  readonly stan: string
  readonly transmissionTime: string
  readonly acquirerId: string
}

export interface MessageValues {
  readonly nowMs: number
  readonly stan: string
  readonly pan: string
  readonly terminalId: string
  readonly acceptorId: string
  /** DE 18, ISO 18245. */
  readonly merchantCategory: string
  readonly amount: MinorUnits
  /** Account type of DE 3: the purse that is debited, of a transaction that credits the one credited. */
  readonly accountType: string
  readonly rrn: string | undefined
  readonly approvalCode: string | undefined
  /** DE 48; absent where there is nothing in it. */
  readonly privateData: readonly PrivateDatum[]
  /** The terminal has approved it offline already and tells so. */
  readonly advice: boolean
  /** When that was, in Cairo, MMDDhhmmss; undefined: now. */
  readonly localTime: string | undefined
  readonly original: Original | undefined
  /** What a reversed transaction came to in the end (DE 95). */
  readonly finalAmount: MinorUnits | undefined
  /** Data elements 74 to 89 and 97, by number. */
  readonly totals?: Readonly<Record<number, string>>
}

export interface OutgoingMessage {
  readonly mti: string
  /** Sparse, by data element number. */
  readonly fields: (string | undefined)[]
}

/** DE 32: whom this command pretends to be. */
export const ACQUIRER = '818001'

/** Account type of the cash purse where nobody says another. */
export const CASH_ACCOUNT = '00'

/** The fields that domain rules and ISO 8583-1:1987 table 5 ask for. */
export function transactionMessage(kind: SendKind, values: MessageValues): OutgoingMessage {
  const shape = SHAPES[kind]
  const fields: (string | undefined)[] = []
  fields[7] = transmissionTime(values.nowMs)
  fields[11] = values.stan
  if (shape.network !== undefined) {
    // A key may be that of a terminal.
    if (kind === 'key-change') fields[41] = values.terminalId
    fields[70] = shape.network
    return { mti: shape.mti, fields }
  }
  if (shape.shift === true) {
    fields[32] = ACQUIRER
    fields[41] = values.terminalId
    fields[50] = EGP
    for (const [de, total] of Object.entries(values.totals ?? {})) fields[Number(de)] = total
    return { mti: shape.mti, fields }
  }
  if (shape.file === true) {
    fields[2] = values.pan
    fields[32] = ACQUIRER
    fields[91] = values.privateData.length === 0 ? FILE_UPDATE_CODES.inquiry : FILE_UPDATE_CODES.add
    fields[101] = HOT_CARD_FILE
    if (values.privateData.length > 0) fields[48] = formatPrivateData(values.privateData)
    return { mti: shape.mti, fields }
  }
  const local = values.localTime ?? cairoTime(values.nowMs)
  fields[2] = values.pan
  fields[3] = processingCode(shape.transactionType, values)
  fields[4] = String(values.amount).padStart(12, '0')
  fields[12] = local.slice(4)
  fields[13] = local.slice(0, 4)
  fields[18] = values.merchantCategory
  // The number is keyed in; the terminal could take a PIN.
  fields[22] = '011'
  fields[25] = '00'
  fields[32] = values.original?.acquirerId ?? ACQUIRER
  fields[37] = values.rrn ?? retrievalReference(values.nowMs, values.stan)
  fields[38] = values.approvalCode
  fields[41] = values.terminalId
  fields[42] = values.acceptorId
  fields[48] = values.privateData.length === 0 ? undefined : formatPrivateData(values.privateData)
  fields[49] = EGP
  fields[90] = values.original && formatOriginalData({ ...values.original, forwarderId: '' })
  fields[95] = values.finalAmount === undefined ? undefined : replacementAmounts(values.finalAmount)
  return { mti: values.advice ? (shape.adviceMti ?? shape.mti) : shape.mti, fields }
}

/** ISO 8583-1:1987 DE 3: positions 3 and 4 name the account debited, 5 and 6 the one credited. */
function processingCode(type: string | undefined, { accountType, original }: MessageValues): string {
  if (type === undefined) return original?.processingCode ?? '000000'
  return CREDITS.includes(type) ? `${type}00${accountType}` : `${type}${accountType}00`
}

/** Refund, deposit, incoming credit. */
const CREDITS: readonly string[] = ['20', '21', '26']

/** The same message once more: ISO 8583-1:1987 4.1.4, the origin digit says that it is a repeat. */
export function repeated(message: OutgoingMessage): OutgoingMessage {
  return { mti: message.mti.slice(0, 3) + String(Number(message.mti.slice(3)) | 1), fields: message.fields }
}

/** DE 7, MMDDhhmmss in UTC. */
function transmissionTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\D/g, '').slice(4, 14)
}

const cairoClock = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Africa/Cairo',
  hourCycle: 'h23',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})

/** MMDDhhmmss. */
function cairoTime(nowMs: number): string {
  const parts = new Map(cairoClock.formatToParts(nowMs).map(({ type, value }) => [type, value]))
  const types: readonly Intl.DateTimeFormatPartTypes[] = ['month', 'day', 'hour', 'minute', 'second']
  return types.map((type) => parts.get(type) ?? '').join('')
}

/** DE 37 as acquirers commonly make it: last digit of the year, day of the year, hour, STAN. */
function retrievalReference(nowMs: number, stan: string): string {
  const now = new Date(nowMs)
  const year = now.getUTCFullYear()
  const dayOfYear = Math.floor((nowMs - Date.UTC(year, 0, 1)) / 86_400_000) + 1
  return `${String(year % 10)}${String(dayOfYear).padStart(3, '0')}${String(now.getUTCHours()).padStart(2, '0')}${stan}`
}

function replacementAmounts(transactionAmount: number): string {
  const noFee = { sign: 'C', amount: 0 } as const
  return formatReplacementAmounts({ transactionAmount, settlementAmount: 0, transactionFee: noFee, settlementFee: noFee })
}
