/** Messages as the terminals of a history send them. */
import { decode } from '../../src/iso8583/decode.ts'
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import type { MessageKind, PlannedMessage } from './planned.ts'
import { simulatedTerminals, type SimulatedCard, type SimulatedTerminal } from './programme.ts'

export const SPEC = messageSpec('ascii')
const ACQUIRER = '818001'

const terminals = new Map(simulatedTerminals.map((terminal) => [terminal.terminalId, terminal]))

export function terminalOf(id: string): SimulatedTerminal {
  const terminal = terminals.get(id)
  if (terminal === undefined) throw new RangeError(`no terminal ${id}`)
  return terminal
}

/** MTI and DE 3. */
const CODES: Readonly<Record<Exclude<MessageKind, 'reversal' | 'refund'>, readonly [mti: string, code: string]>> = {
  purchase: ['0200', '000000'],
  authorization: ['0100', '000000'],
  completion: ['0220', '000000'],
  withdrawal: ['0200', '010000'],
  bread: ['0200', '009700'],
  breadAdvice: ['0220', '009700'],
  ration: ['0200', '009800'],
  points: ['0200', '009500'],
  deposit: ['0200', '210000'],
  credit: ['0200', '260000'],
  balance: ['0200', '310000'],
}

/** Where the account is the one credited, the purse is in the last two digits. */
function refundCode(original: MessageKind): string {
  const [, code] = CODES[original as keyof typeof CODES]
  return `2000${code.slice(2, 4)}`
}

/** A message that was planned, or the reversal that its terminal sends of itself. */
export interface Composed {
  readonly mti: string
  readonly fields: Readonly<Record<number, string>>
}

export interface Source {
  readonly message: PlannedMessage
  readonly card: SimulatedCard
  /** What it follows, where it follows something. */
  readonly original: Composed | undefined
  readonly originalKind: MessageKind | undefined
  readonly startMs: number
}

export function compose({ message, card, original, originalKind, startMs }: Source): Composed {
  const { kind, terminalId, amount } = message
  const terminal = terminalOf(terminalId)
  const sentMs = startMs + message.atMs
  const [mti, code] =
    kind === 'reversal'
      ? ['0400', original?.fields[3] ?? '000000']
      : kind === 'refund'
        ? ['0200', refundCode(originalKind ?? 'purchase')]
        : CODES[kind]
  const fields: Record<number, string> = {
    2: card.pan,
    3: code,
    4: String(amount).padStart(12, '0'),
    7: transmissionTime(sentMs),
    11: String(message.id + 1).padStart(6, '0'),
    32: ACQUIRER,
    41: terminalId,
    42: terminal.acceptorId,
    49: '818',
  }
  if (terminal.link === 'local') localTime(fields, sentMs)
  const data = privateData(message)
  if (data !== '') fields[48] = data
  if (message.pin !== 'none') fields[52] = card.pinBlocks[message.pin]
  if (original !== undefined) follow(fields, original, kind === 'reversal')
  return { mti, fields }
}

/** What a terminal sends that has no answer and will ask no more. */
export function reversalOf(composed: Composed, stan: number, nowMs: number): Composed {
  const fields: Record<number, string> = { ...composed.fields, 7: transmissionTime(nowMs), 11: String(stan).padStart(6, '0') }
  delete fields[48]
  delete fields[52]
  delete fields[90]
  follow(fields, composed, true)
  return { mti: '0400', fields }
}

/** The same again, as a repeat; terminals of some links give it a new time of transmission. */
export function repeatOf(composed: Composed, nowMs: number): Composed {
  const { mti, fields } = composed
  const repeated = mti.slice(0, 3) + '1'
  return fields[12] === undefined
    ? { mti: repeated, fields }
    : { mti: repeated, fields: { ...fields, 7: transmissionTime(nowMs) } }
}

/** DE 90 names the original; on links that go by local time DE 12 and 13 of what follows are the original's. */
function follow(fields: Record<number, string>, original: Composed, reversal: boolean): void {
  const local = original.fields[12] !== undefined
  fields[90] =
    original.mti.slice(0, 3) +
    '0' +
    (original.fields[11] ?? '') +
    (original.fields[7] ?? '') +
    (original.fields[32] ?? '').padStart(11, '0') +
    '0'.repeat(11)
  if (local) {
    fields[12] = original.fields[12] ?? ''
    fields[13] = original.fields[13] ?? ''
  }
  if (reversal) delete fields[48]
}

function privateData({ kind, loaves, days, amount, partialAccepted }: PlannedMessage): string {
  if (kind === 'bread' || kind === 'breadAdvice') return datum('LV', String(loaves)) + datum('DY', String(days))
  if (kind === 'ration') return datum('BK', `RICE*1*${amount};`)
  return partialAccepted ? datum('PC', '1') : ''
}

function datum(tag: string, value: string): string {
  return tag + String(value.length).padStart(3, '0') + value
}

function transmissionTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\D/g, '').slice(4, 14)
}

function localTime(fields: Record<number, string>, ms: number): void {
  const time = transmissionTime(ms)
  fields[13] = time.slice(0, 4)
  fields[12] = time.slice(4)
}

export function encoded({ mti, fields }: Composed): Buffer {
  const values: FieldValues = []
  for (const [de, text] of Object.entries(fields)) values[Number(de)] = text
  const result = encode(SPEC, mti, values)
  if (!result.ok) throw new RangeError(`cannot be encoded: ${result.error.path} ${result.error.expected}`)
  return result.bytes
}

export interface Answer {
  readonly mti: string
  readonly code: string
  readonly amount: number
  readonly approvalCode: string | undefined
}

export function readAnswer(bytes: Buffer): Answer {
  const decoded = decode(SPEC, bytes)
  if (!decoded.ok) throw new RangeError(`the answer cannot be read: ${decoded.error.path}`)
  const { message } = decoded
  return {
    mti: message.mti,
    code: message.text(39) ?? '',
    amount: Number(message.text(4) ?? '0'),
    approvalCode: message.text(38),
  }
}

/** The idempotency key, by the specification (spec/iso8583.md): what the model knows a message by. */
export function keyOf({ mti, fields }: Composed): string {
  const time = fields[12] === undefined ? fields[7] : (fields[13] ?? '') + fields[12]
  return `${(fields[32] ?? '').padStart(11, '0')}|${fields[41] ?? ''}|${time ?? ''}|${fields[11] ?? ''}|${mti.charAt(1)}`
}

/** What a line of the history says of a message. */
export function described({ mti, fields }: Composed): string {
  const amount = Number(fields[4] ?? '0') / 100
  const follows = fields[90] === undefined ? '' : ` of ${Number(fields[90].slice(4, 10))}`
  const wrong = fields[48] === undefined ? '' : ` ${fields[48]}`
  return `${mti} ${fields[3] ?? ''} #${Number(fields[11])}${follows} at ${fields[41] ?? ''}, card ..${(fields[2] ?? '').slice(-5)}, ${amount.toFixed(2)}${wrong}`
}
