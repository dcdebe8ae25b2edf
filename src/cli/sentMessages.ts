/**
 * What `sarf send` sent lately, in `last.json` of the state folder: so that a refund, a completion, a reversal or a
 * repeat finds its original, and no two messages get the same trace number at the same time, nor any chip the same transaction counter.
 * Card numbers are kept masked only; of what card and holder showed only how it was shown. Keys that were sent are kept in their key blocks.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { maskPan } from '../card.ts'
import { demoMemberPan, demoOldPan } from '../programme/demo.ts'
import type { Shown } from './cardShown.ts'
import type { SessionKeyBlock } from './terminalKeys.ts'
import type { OutgoingMessage, SendKind } from './transactionMessage.ts'

export interface SentMessage {
  readonly kind: SendKind
  /** Of the message when it is not a repeat. */
  readonly mti: string
  /** Text of each data element by number, without DE 2. */
  readonly fields: Readonly<Record<string, string>>
  readonly maskedPan: string | undefined
  /** Where the card is one of the demo programme: its number follows from this. */
  readonly demoCard: DemoCardName | undefined
  readonly shown?: Shown
  /** Of the answer, if one came. */
  readonly responseCode?: string
  readonly approvalCode?: string
}

/** A card of the demo programme without its number: whose of which household. */
export interface DemoCardName {
  readonly household: number
  /** 1 is the head; `old` the household's old ration card. */
  readonly member: number | 'old'
}

export interface SentMessages {
  /** Trace numbers given out so far. */
  readonly counter: number
  /** Latest last. */
  readonly sent: readonly SentMessage[]
  /** The highest transaction counter that each chip has used, by masked card number: where two cards share one, counters are left out. */
  readonly atcs: Readonly<Record<string, number>>
  /** That the switch has taken over; latest last. */
  readonly sessionKeys: readonly SessionKeyBlock[]
}

/** Trace number, transmission time and terminal. */
const IDENTITY = ['11', '7', '41'] as const
const SENT_MAX = 50
const STAN_MAX = 999_999

/** Nothing sent yet where the file is missing or broken. */
export function readSentMessages(file: string): SentMessages {
  try {
    const { counter, sent, atcs, sessionKeys } = JSON.parse(readFileSync(file, 'utf8')) as Partial<SentMessages>
    return {
      counter: Number.isInteger(counter) ? (counter ?? 0) : 0,
      sent: Array.isArray(sent) ? sent : [],
      atcs: atcs ?? {},
      sessionKeys: Array.isArray(sessionKeys) ? sessionKeys : [],
    }
  } catch {
    return { counter: 0, sent: [], atcs: {}, sessionKeys: [] }
  }
}

/** The next trace number, taken so that no later call gets it. */
export function takeStan(file: string): string {
  const before = readSentMessages(file)
  const { counter } = before
  write(file, { ...before, counter: counter + 1 })
  return String((counter % STAN_MAX) + 1).padStart(6, '0')
}

/**
 * The next transaction counter of a card's chip, taken as above.
 *
 * @param wanted this one instead, whether it was used before or not
 * @returns undefined where the chip has used up all that two bytes can count: a real card is dead then
 */
export function takeAtc(file: string, pan: string, wanted: number | undefined): number | undefined {
  const before = readSentMessages(file)
  const name = maskPan(pan)
  const highest = before.atcs[name] ?? 0
  const atc = wanted ?? highest + 1
  if (atc > ATC_MAX) return undefined
  const others = Object.entries(before.atcs).filter(([known]) => known !== name)
  const kept = others.slice(1 - CARDS_MAX)
  write(file, { ...before, atcs: { ...Object.fromEntries(kept), [name]: Math.max(highest, atc) } })
  return atc
}

const ATC_MAX = 65_535
const CARDS_MAX = 10_000

/** In the place of the one before. */
export function rememberSessionKey(file: string, key: SessionKeyBlock): void {
  const before = readSentMessages(file)
  write(file, { ...before, sessionKeys: [...before.sessionKeys.filter(({ base }) => base !== key.base), key] })
}

/** In the place of what was remembered of the same message before its answer, or before it was repeated. */
export function rememberSent(file: string, message: SentMessage): void {
  const before = readSentMessages(file)
  const others = before.sent.filter(
    ({ kind, fields }) => IDENTITY.some((de) => fields[de] !== message.fields[de]) || kind !== message.kind,
  )
  write(file, { ...before, sent: [...others, message].slice(-SENT_MAX) })
}

/** A message as it is remembered: without card and holder in it. */
export function sentMessage(
  kind: SendKind,
  message: OutgoingMessage,
  shown: Shown,
  answer: { responseCode: string | undefined; approvalCode: string | undefined },
): SentMessage {
  const fields: Record<string, string> = {}
  for (const [de, text] of message.fields.entries()) {
    if (text !== undefined && de !== 2) fields[String(de)] = text
  }
  const pan = message.fields[2]
  return {
    kind,
    mti: unrepeated(message.mti),
    fields,
    maskedPan: pan === undefined ? undefined : maskPan(pan),
    demoCard: pan === undefined ? undefined : demoCardName(pan),
    ...(Object.keys(shown).length === 0 ? {} : { shown }),
    ...(answer.responseCode === undefined ? {} : { responseCode: answer.responseCode }),
    ...(answer.approvalCode === undefined ? {} : { approvalCode: answer.approvalCode }),
  }
}

export function demoCardPan({ household, member }: DemoCardName): string {
  return member === 'old' ? demoOldPan(household) : demoMemberPan(household, member)
}

const MEMBERS_MAX = 9

/** Tried one after the other: which digits say what is the demo programme's own affair. */
function demoCardName(pan: string): DemoCardName | undefined {
  const household = Number(pan.slice(-HOUSEHOLD_DIGITS - 1, -1))
  const members = Array.from({ length: MEMBERS_MAX }, (_, index) => index + 1)
  return [...members, 'old' as const].map((member) => ({ household, member })).find((name) => demoCardPan(name) === pan)
}

/** Members' cards have the fewest for it. */
const HOUSEHOLD_DIGITS = 8

/** The origin digit of a repeat is odd (ISO 8583-1:1987 4.1.4). */
function unrepeated(mti: string): string {
  return mti.slice(0, 3) + String(Number(mti.slice(3)) & ~1)
}

/** In one step, so that a reader never meets half a file. */
function write(file: string, messages: SentMessages): void {
  mkdirSync(dirname(file), { recursive: true })
  const draft = `${file}.${String(process.pid)}`
  writeFileSync(draft, JSON.stringify(messages, undefined, 2) + '\n', { mode: 0o600 })
  renameSync(draft, file)
}
