/**
 * Messages that are made completely before the clock starts, with chip, PIN and MAC, so that the generator's own cryptography is no part of what is
 * measured. The trace numbers are those that a lane will give them when they are sent in this order, on a lane that nothing else is sent on.
 */
import { cairoDay } from '../../src/clock.ts'
import { SHAPES } from '../../src/cli/transactionMessage.ts'
import type { KeyHandle } from '../../src/security/keys.ts'
import { coveredBy, writeMac } from '../../src/security/messageMac.ts'
import type { MessageSpec } from '../../src/iso8583/messageSpec.ts'
import type { VirtualChip } from '../../src/security/virtualChip.ts'
import type { Chips } from './chips.ts'
import type { Lane, SentMessage } from './journal.ts'
import { KIND_TRAITS } from './messageKinds.ts'
import type { Sequel } from './mix.ts'
import type { Moment } from './moment.ts'
import type { PinTable } from './pinTable.ts'
import { showsCard, type MessageTemplate } from './template.ts'

export interface PreparedMessage {
  readonly lane: Lane
  readonly message: Omit<SentMessage, 'dueMs'>
  readonly stan: number
  readonly sequel: Sequel
  readonly bytes: Buffer
  /** Of one in so many messages: checks the answer. */
  readonly chip: VirtualChip | undefined
}

/** What is to be sent, without the bytes of it. */
export type Draft = Pick<PreparedMessage, 'lane' | 'message' | 'sequel'>

export interface PreparingParts {
  readonly spec: MessageSpec
  readonly pins: PinTable
  readonly chips: Chips
  readonly macKey: KeyHandle
  /** With room for chip data as long as these. */
  readonly template: (draft: Draft, chipData: Buffer | undefined) => MessageTemplate
}

/** One of so many answers is checked. */
const SAMPLE_EVERY = 100

export class Preparing {
  readonly #parts: PreparingParts
  readonly #moment: Moment
  readonly #date: string
  readonly #sent = new Map<Lane, number>()
  #count = 0

  /** @param moment the time that all of them carry */
  constructor(parts: PreparingParts, moment: Moment, nowMs: number) {
    this.#parts = parts
    this.#moment = moment
    this.#date = cairoDay(nowMs).slice(2).replaceAll('-', '')
  }

  make(drafts: readonly Draft[]): PreparedMessage[] {
    const made = drafts.map((draft) => this.#withoutMac(draft))
    sealAll(
      this.#parts.spec,
      this.#parts.macKey,
      made.map(({ bytes }) => bytes),
    )
    return made
  }

  #withoutMac(draft: Draft): PreparedMessage {
    const { lane, message } = draft
    const { pins, chips, template } = this.#parts
    const n = lane.count + (this.#sent.get(lane) ?? 0)
    this.#sent.set(lane, n - lane.count + 1)
    const stan = lane.stan(n)
    const { kind, household, amount, loaves } = message
    const type = SHAPES[KIND_TRAITS[kind].send].transactionType ?? ''
    const cryptogram = showsCard(kind) ? chips.use(household, amount, type, this.#date) : undefined
    const bytes = template(draft, cryptogram?.data).message({
      household,
      amount,
      loaves,
      stan,
      moment: this.#moment,
      original: undefined,
      pinBlock: pins.block(household),
      chipData: cryptogram?.data,
    })
    const isSample = this.#count++ % SAMPLE_EVERY === 0
    return { ...draft, stan, bytes, chip: isSample ? cryptogram?.chip : undefined }
  }
}

/** Writes the MACs of messages that were encoded with room for them. */
export function sealAll(spec: MessageSpec, key: KeyHandle, messages: readonly Buffer[]): void {
  const macs = key.macs(messages.map((bytes) => coveredBy(spec, bytes)))
  for (const [index, bytes] of messages.entries()) writeMac(spec, bytes, macs[index] ?? Buffer.alloc(0))
}
