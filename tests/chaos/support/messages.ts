/** The messages of the terminals, as the journal keeps them and as they go onto the wire. */
import { accountTypeOf } from '../../../benchmarks/support/template.ts'
import { programmeRules } from '../../../benchmarks/support/programmeRules.ts'
import {
  ACQUIRER,
  repeated,
  SHAPES,
  transactionMessage,
  type Original,
  type OutgoingMessage,
} from '../../../src/cli/transactionMessage.ts'
import { encode } from '../../../src/iso8583/encode.ts'
import type { Message } from '../../../src/iso8583/message.ts'
import { messageSpec } from '../../../src/iso8583/messageSpec.ts'
import type { PrivateDatum } from '../../../src/iso8583/privateData.ts'
import { minorUnits } from '../../../src/money.ts'
import { acquirerPart, idempotencyKey } from '../../../src/transaction/identity.ts'
import type { Sent } from './journal.ts'

export const SPEC = messageSpec('ascii')

export interface OutgoingPair {
  readonly first: Uint8Array
  readonly repeat: Uint8Array
}

/** What makes a message: all that the journal says of it before it was sent. */
export type NewMessage = Pick<Sent, 'kind' | 'terminal' | 'holder' | 'amount' | 'loaves' | 'original'>

export function newMessage(message: NewMessage, stanNumber: number, nowMs: number): { sent: Sent; bytes: OutgoingPair } {
  const { kind, terminal, holder, original } = message
  const stan = String(stanNumber).padStart(6, '0')
  const { told } = original ?? {}
  const composed = transactionMessage(kind, {
    nowMs,
    stan,
    pan: holder.pan,
    terminalId: terminal.terminalId,
    acceptorId: terminal.acceptorId,
    merchantCategory: terminal.category,
    amount: minorUnits(message.amount),
    accountType: accountTypeOf(demandOf(message)),
    privateData: original === undefined ? goodsOf(message) : [],
    advice: false,
    localTime: undefined,
    rrn: undefined,
    approvalCode: told?.approvalCode,
    original: original === undefined ? undefined : originalOf(original),
    finalAmount: undefined,
  })
  const sent: Sent = {
    ...message,
    key: keyOf(composed),
    sendings: [],
    answers: [],
    told: undefined,
    abandoned: false,
    reversedBy: undefined,
    completedBy: undefined,
  }
  return { sent, bytes: { first: bytesOf(composed), repeat: bytesOf(repeated(composed)) } }
}

/** The key that an answer belongs to. */
export function keyOfAnswer(message: Message): string {
  return key(message.mti, (de) => message.text(de))
}

function keyOf({ mti, fields }: OutgoingMessage): string {
  return key(mti, (de) => fields[de])
}

function key(mti: string, text: (de: number) => string | undefined): string {
  return idempotencyKey({
    acquirer: acquirerPart(ACQUIRER, ''),
    terminalId: text(41) ?? '',
    time: text(7) ?? '',
    stan: text(11) ?? '',
    messageClass: mti.charAt(1),
  })
}

/** The first message of those that follow each other. */
function demandOf({ kind, original }: NewMessage): Exclude<Sent['kind'], 'refund' | 'reversal'> {
  if (original !== undefined) return demandOf(original)
  if (kind === 'refund' || kind === 'reversal') throw new RangeError(`a ${kind} follows another message`)
  return kind
}

function originalOf({ key, kind, original, holder, terminal, amount, loaves }: Sent): Original {
  const [, , transmissionTime = '', stan = ''] = key.split('|')
  const { mti, transactionType = '00' } = SHAPES[kind]
  const account = accountTypeOf(demandOf({ kind, original, holder, terminal, amount, loaves }))
  const credits = kind === 'deposit' || kind === 'refund'
  return {
    mti,
    processingCode: transactionType + (credits ? `00${account}` : `${account}00`),
    stan,
    transmissionTime,
    acquirerId: ACQUIRER,
  }
}

function goodsOf({ kind, amount, loaves }: NewMessage): PrivateDatum[] {
  const { loavesTag, daysTag } = programmeRules()
  if (kind === 'bread')
    return [
      { tag: loavesTag, value: String(loaves) },
      { tag: daysTag, value: '1' },
    ]
  if (kind !== 'ration') return []
  const basket = { tag: 'BK', value: `SUGAR*1*${amount};` }
  // Every other grocer takes less where less is left.
  return amount % 2 === 0 ? [basket] : [basket, { tag: 'PC', value: '1' }]
}

function bytesOf({ mti, fields }: OutgoingMessage): Uint8Array {
  const encoded = encode(SPEC, mti, fields)
  if (!encoded.ok) throw new Error(`a message cannot be written: ${encoded.error.path} expected ${encoded.error.expected}`)
  return encoded.bytes
}
