/** One connection of the generator: its terminals, what is in flight on it, and the messages that are to follow approved ones. */
import type { MessageSpec } from '../../src/iso8583/messageSpec.ts'
import type { KeyHandle } from '../../src/security/keys.ts'
import { connect, type Client } from '../../src/transport/client.ts'
import type { Framing } from '../../src/transport/framing.ts'
import type { Lane, SentMessage } from './journal.ts'
import type { MessageKind } from './messageKinds.ts'
import type { Moment } from './moment.ts'
import type { ConnectionLanes } from './lanes.ts'
import type { PinTable } from './pinTable.ts'
import { sealAll, type PreparedMessage } from './prepared.ts'
import { MessageTemplate, NOTHING_SHOWN, repeatOf, showsCard, type PanTable } from './template.ts'

export interface LinkTarget {
  readonly host: string
  readonly port: number
  readonly framing: Framing
  readonly spec: MessageSpec
}

/** What the messages of a link are made of. */
export interface LinkMeans {
  readonly pans: PanTable
  /** Undefined: no PIN is shown. */
  readonly pins: PinTable | undefined
  /** Undefined: no message carries a MAC. */
  readonly macKey: KeyHandle | undefined
  /** First messages were made before; only what follows them is made as it is sent. */
  readonly isPrepared: boolean
}

export interface LinkEvents {
  payload(link: Link, payload: Buffer): void
  /** The connection is gone, and with it the answers to everything in flight. */
  lost(link: Link): void
  /** It is back. */
  restored(link: Link): void
}

/** What follows a message that was answered: another kind, or the same message once more. */
export interface FollowUp {
  readonly kind: MessageKind | 'repeat'
  readonly lane: Lane
  readonly n: number
}

/** What an answer says of the message that it is to. */
interface AnsweredTo {
  readonly terminalId: string
  readonly stan: number
  readonly transmission: number
}

interface OriginalSent {
  readonly lane: Lane
  readonly n: number
}

export interface Sent {
  /** The number of the message in its lane. */
  readonly n: number
  readonly bytes: Buffer
}

const RECONNECT_MS = 200

export class Link {
  inFlight = 0
  readonly #target: LinkTarget
  readonly #events: LinkEvents
  readonly #means: LinkMeans
  readonly #composedByClass: ReadonlyMap<string, Lane>
  readonly #preparedByClass: ReadonlyMap<string, Lane>
  readonly #lanesByTerminal = new Map<string, Lane[]>()
  readonly #templates = new Map<Lane, Map<string, MessageTemplate>>()
  readonly #followUps: FollowUp[] = []
  #prepared: readonly PreparedMessage[] = []
  #nextPrepared = 0
  #client: Client | undefined
  #closed = false

  constructor(target: LinkTarget, events: LinkEvents, means: LinkMeans, { composed, prepared }: ConnectionLanes) {
    this.#target = target
    this.#events = events
    this.#means = means
    const byClass = (lanes: readonly Lane[]): Map<string, Lane> => new Map(lanes.map((lane) => [lane.terminal.class, lane]))
    this.#composedByClass = byClass(composed)
    this.#preparedByClass = byClass(prepared)
    for (const lane of [...composed, ...prepared]) {
      const { terminalId } = lane.terminal
      this.#lanesByTerminal.set(terminalId, [...(this.#lanesByTerminal.get(terminalId) ?? []), lane])
      this.#templates.set(lane, new Map())
    }
  }

  get connected(): boolean {
    return this.#client !== undefined
  }

  get isPrepared(): boolean {
    return this.#means.isPrepared
  }

  /** @throws Error the operating system's */
  async open(): Promise<void> {
    const { host, port, framing } = this.#target
    const client = await connect({
      host,
      port,
      framing,
      onPayload: (payload) => this.#events.payload(this, payload),
      onClose: () => this.#lost(),
    })
    this.#client = client
    // A run that ended meanwhile has no use for it.
    if (this.#closed) client.destroy()
  }

  /** Where first messages are sent, and what is made as it is sent. */
  laneOfClass(terminalClass: string, prepared = this.isPrepared): Lane {
    const lane = (prepared ? this.#preparedByClass : this.#composedByClass).get(terminalClass)
    if (lane === undefined) throw new RangeError(`a connection has a terminal of class ${terminalClass}`)
    return lane
  }

  /** The message that an answer is to. */
  find({ terminalId, stan, transmission }: AnsweredTo): { readonly lane: Lane; readonly n: number } | undefined {
    for (const lane of this.#lanesByTerminal.get(terminalId) ?? []) {
      const n = lane.find(stan, transmission)
      if (n !== undefined) return { lane, n }
    }
    return undefined
  }

  send(lane: Lane, message: SentMessage, moment: Moment, original: OriginalSent | undefined): Sent {
    const n = lane.add(message)
    const { pins, macKey } = this.#means
    const bytes = this.template(lane, message.kind, undefined).message({
      household: message.household,
      amount: message.amount,
      loaves: message.loaves,
      stan: lane.stan(n),
      moment,
      original:
        original === undefined
          ? undefined
          : { stan: original.lane.stan(original.n), transmission: original.lane.transmission(original.n) },
      pinBlock: pins?.block(message.household),
    })
    if (macKey !== undefined) sealAll(this.#target.spec, macKey, [bytes])
    this.inFlight++
    this.#client?.send(bytes)
    return { n, bytes }
  }

  /** In the place of those that were left from before. */
  prepare(messages: readonly PreparedMessage[]): void {
    this.#prepared = messages
    this.#nextPrepared = 0
  }

  /** @returns the next one, undefined where all have been sent */
  takePrepared(): PreparedMessage | undefined {
    return this.#prepared[this.#nextPrepared++]
  }

  sendPrepared({ lane, message, stan, bytes }: PreparedMessage, dueMs: number): number {
    const n = lane.add({ ...message, dueMs })
    if (lane.stan(n) !== stan) throw new RangeError('messages that were made before are sent in their order')
    this.inFlight++
    this.#client?.send(bytes)
    return n
  }

  sendRepeat(bytes: Buffer): void {
    const { spec } = this.#target
    const repeat = repeatOf(spec, bytes)
    if (this.#means.macKey !== undefined) sealAll(spec, this.#means.macKey, [repeat])
    this.inFlight++
    this.#client?.send(repeat)
  }

  follow(followUp: FollowUp): void {
    this.#followUps.push(followUp)
  }

  nextFollowUp(): FollowUp | undefined {
    return this.#followUps.shift()
  }

  /** What is in flight was given up, and nothing is to follow. */
  reset(): void {
    this.inFlight = 0
    this.#followUps.length = 0
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#client?.close()
  }

  /** @param chipData of the length that its messages have */
  template(lane: Lane, kind: MessageKind, chipData: Buffer | undefined): MessageTemplate {
    const templates = this.#templates.get(lane)
    if (templates === undefined) throw new RangeError('a message is sent on a lane of its connection')
    const name = chipData === undefined ? kind : `${kind} ${String(chipData.length)}`
    let template = templates.get(name)
    if (template === undefined) {
      const { pins, macKey, pans } = this.#means
      const showing = { ...NOTHING_SHOWN, pin: pins !== undefined && showsCard(kind), chipData, mac: macKey !== undefined }
      template = new MessageTemplate(this.#target.spec, pans, kind, lane.terminal, showing)
      templates.set(name, template)
    }
    return template
  }

  #lost(): void {
    this.#client = undefined
    if (this.#closed) return
    this.#followUps.length = 0
    this.#events.lost(this)
    this.inFlight = 0
    setTimeout(() => void this.#reopen(), RECONNECT_MS)
  }

  async #reopen(): Promise<void> {
    if (this.#closed) return
    try {
      await this.open()
    } catch {
      setTimeout(() => void this.#reopen(), RECONNECT_MS)
      return
    }
    this.#events.restored(this)
  }
}
